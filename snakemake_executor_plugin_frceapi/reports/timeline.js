"use strict";
const detail = document.getElementById("detail");
const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };
let current = null;

function show(job) {
  if (job === current) return;
  if (current) current.classList.remove("current");
  current = job;
  job.classList.add("current");
  detail.textContent = job.querySelector("desc").textContent;
}

for (const chart of document.querySelectorAll(".jobs")) {
  const jobs = [...chart.querySelectorAll("g")];
  const within = (index) => Math.min(jobs.length - 1, Math.max(0, index));
  chart.addEventListener("pointermove", (event) => {
    const place = chart.getBoundingClientRect();
    show(jobs[within(Math.floor(((event.clientY - place.top) / place.height) * jobs.length))]);
  });
  chart.addEventListener("focus", () => {
    if (!chart.contains(current)) show(jobs[0]);
  });
  chart.addEventListener("keydown", (event) => {
    if (!(event.key in steps)) return;
    event.preventDefault();
    show(jobs[within(jobs.indexOf(current) + steps[event.key])]);
    current.scrollIntoView({ block: "nearest" });
  });
}
