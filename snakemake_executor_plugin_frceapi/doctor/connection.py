"""Examines the way to the service: ticket, name, TLS, clock, authentication, and both calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from snakemake_executor_plugin_frceapi.auth import ticket_status
from snakemake_executor_plugin_frceapi.client import ClientConfig, public_url
from snakemake_executor_plugin_frceapi.client.calls import Client
from snakemake_executor_plugin_frceapi.client.connection import proxy_of
from snakemake_executor_plugin_frceapi.client.handshake import (
    Greeting,
    Handshake,
    addresses,
    greet,
    shake_hands,
)
from snakemake_executor_plugin_frceapi.client.trust import trusted_certificates
from snakemake_executor_plugin_frceapi.doctor.step import Finding, Outcome, Seen, find
from snakemake_executor_plugin_frceapi.errors import ConfigurationFault, ServiceError, TransientFault
from snakemake_executor_plugin_frceapi.job import Accepted, NotSent, Refused
from snakemake_executor_plugin_frceapi.reports.figures import duration
from snakemake_executor_plugin_frceapi.wire import LARGE_TOKEN_BYTES, Answer, decode_listing

_PROXY_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
_CLOCK_SKEW_SECONDS = 300
"""How far two clocks may be apart for Kerberos: krb5.conf(5), ``clockskew``."""
_NOTABLE_SKEW_SECONDS = 60

_LOCAL_SECONDS = 60.0
"""Time limit of a step that asks nobody: it is never short of time but on a machine that is."""


class Examination:
    """Tries each step on the way to the service, and none that needs one which failed.

    Args:
        config: how to reach the service.
        environment: where variables about proxies and certificates stand.
    """

    def __init__(self, config: ClientConfig, environment: Mapping[str, str]) -> None:
        self._config = config
        self._environment = environment
        self._causes: dict[str, list[str]] = {}
        self._greeting: Greeting | None = None
        self._answer: Answer | None = None

    def findings(self) -> Iterator[Finding]:
        """Yield what each step found, as soon as it is known."""
        host = urlsplit(self._config.base_url).hostname
        encrypted = self._config.base_url.lower().startswith("https:")
        kerberos = self._config.auth == "kerberos"
        yield self._step("proxies", self._proxies)
        yield self._step("ticket", _ticket, 20, "no KDC answered", unless=None if kerberos else "not needed here")
        yield self._step("dns", self._dns, 10, "no name server answered")
        plain = None if encrypted else "not needed for a loopback address"
        yield self._step("tls", self._tls, 15, f"{host} did not shake hands", "dns", unless=plain)
        yield self._step("http", self._http, 15, f"{host} did not answer", "dns", "tls")
        yield self._step("clock", self._clock, _LOCAL_SECONDS, "", "http")
        yield self._step("authentication", self._authenticate, 40, f"{host} did not answer", "ticket", "http")
        yield self._step(
            *("ticket size", self._ticket_size, _LOCAL_SECONDS, "", "authentication"),
            unless=None if kerberos else "there is none",
        )
        yield self._step("query_status", self._query_status, _LOCAL_SECONDS, "", "authentication")
        yield self._step("submit_job", self._submit_job, 40, f"{host} did not answer", "authentication")

    def _step(
        self,
        name: str,
        look: Callable[[], Seen],
        seconds: float = _LOCAL_SECONDS,
        silent: str = "",
        *needed: str,
        unless: str | None = None,
    ) -> Finding:
        """Do a step.

        Args:
            name: its name.
            look: does it.
            seconds: its time limit.
            silent: who has not answered when the time is up.
            needed: the steps that must not have failed.
            unless: why it is not needed; None: it is.
        """
        if unless is not None:
            return Finding(name, Outcome.SKIPPED, unless)
        causes = list(dict.fromkeys(cause for step in needed for cause in self._causes.get(step, ())))
        if causes:
            self._causes[name] = causes
            return Finding(name, Outcome.SKIPPED, f"not tried, because {' and '.join(causes)} failed")
        finding = find(name, look, seconds, silent)
        if finding.outcome is Outcome.FAILED:
            self._causes[name] = [name]
        return finding

    def _proxies(self) -> Seen:
        found = {name: self._environment.get(name) or self._environment.get(name.lower()) for name in _PROXY_VARIABLES}
        shown = {
            name: value if name == "NO_PROXY" else public_url(value if "://" in value else f"http://{value}")
            for name, value in found.items()
            if value
        }
        used = proxy_of(self._config)
        facts = {"variables": shown, "used": public_url(used) if used else None}
        named = ", ".join(f"{name}={value}" for name, value in shown.items()) or "no variable is set"
        return Seen(f"{named}; {'requests go through ' + public_url(used) if used else 'none is used'}", facts)

    def _dns(self) -> Seen:
        found = addresses(self._config)
        through = " (of the proxy)" if proxy_of(self._config) else ""
        return Seen(f"{', '.join(found)}{through}", {"addresses": found})

    def _tls(self) -> Seen:
        place = trusted_certificates(self._config, self._environment)
        try:
            made = shake_hands(self._config)
        except ConfigurationFault as fault:
            try:
                text = f"{fault} (the service sent: {_chain(shake_hands(self._config, trusting=False))})"
            except ServiceError:
                raise fault from None
            return Seen(text, {"trusted": place}, Outcome.FAILED)
        facts = {"version": made.version, "chain": made.chain, "signer": made.signer, "ends": _iso(made.ends)}
        return Seen(f"{made.version}, {_chain(made)}; trusted by {place}", {**facts, "trusted": place})

    def _http(self) -> Seen:
        self._greeting = made = greet(self._config)
        facts = {"status_code": made.status_code, "challenge": made.challenge, "server": made.server}
        asks = f"asks for {made.challenge}" if made.challenge else "asks for no authentication"
        text = f"{made.server or 'the server'} answers status code {made.status_code} and {asks}"
        if self._config.auth == "kerberos" and not made.challenge.lower().startswith("negotiate"):
            remedy = "that is not how the API answers a request without a token: check --frceapi-url"
            return Seen(f"{text}; {remedy}", facts, Outcome.NOTE)
        return Seen(text, facts)

    def _clock(self) -> Seen:
        try:
            seconds = seconds_ahead(self._greeting) if self._greeting else 0
        except ValueError:
            return Seen("the answer has no date", outcome=Outcome.NOTE)
        outcome, text = judge_clock(seconds)
        return Seen(text, {"ahead_seconds": seconds}, outcome)

    def _authenticate(self) -> Seen:
        client = Client(self._config)
        try:
            self._answer = answer = client.status_answer()
        finally:
            client.close()
        url, without_ticket = public_url(self._config.base_url), self._config.auth == "none"
        if answer.status_code == 401 and without_ticket:
            raise ConfigurationFault(f"{url} wants a Kerberos ticket: leave out --frceapi-auth none")
        if answer.status_code in (401, 403):
            decode_listing(answer)
        if without_ticket:
            return Seen("none, as for a sandbox")
        if self._greeting and self._greeting.status_code != 401:
            return Seen("no ticket is asked for there, so nobody knows whether yours is good", outcome=Outcome.NOTE)
        return Seen(f"{url} accepted a Kerberos token")

    def _ticket_size(self) -> Seen:
        size = self._answer.token_bytes if self._answer else 0
        facts = {"token_bytes": size}
        if size >= LARGE_TOKEN_BYTES:
            text = f"the header with the token has {size:,} bytes, and servers take 8 KB: ask the cluster's staff"
            return Seen(text, facts, Outcome.NOTE)
        return Seen(f"the header with the token has {size:,} bytes", facts)

    def _query_status(self) -> Seen:
        assert self._answer is not None
        listing = decode_listing(self._answer)
        live = sum(not status.state.is_final for status in listing.jobs.values())
        text = f"jobs of the last 24 hours: {len(listing.jobs)}; waiting or running: {live}"
        return Seen(text, {"jobs": len(listing.jobs), "live": live})

    def _submit_job(self) -> Seen:
        """Post a request without script and partition, which are mandatory: nothing can come of it but a refusal."""
        client = Client(self._config)
        try:
            outcome = client.submit_job(b"{}")
        finally:
            client.close()
        match outcome:
            case Refused():
                return Seen(f"it refuses an empty request, as it must ({outcome.code})", {"code": outcome.code})
            case NotSent():
                raise outcome.fault
            case Accepted():
                raise ConfigurationFault(
                    f"the service took an empty request as job {outcome.external_jobid}: check --frceapi-url, and "
                    "`frceapi jobs`"
                )
        cause, _, _ = outcome.message.rpartition("; ")  # there is no job that could have been taken
        raise TransientFault(f"it does not refuse an empty request: {cause}; if that stays so, ask the cluster's staff")


def seconds_ahead(greeting: Greeting) -> int:
    """Return by how much this machine's clock is surely ahead of the service's; negative: behind.

    The answer was dated between the request and its arrival, which may have taken long.

    Raises:
        ValueError: the answer has no date.
    """
    theirs = parsedate_to_datetime(greeting.date)
    earliest, latest = ((moment - theirs).total_seconds() for moment in (greeting.asked, greeting.answered))
    return round(max(earliest, 0) + min(latest, 0))


def judge_clock(ahead_seconds: float) -> tuple[Outcome, str]:
    """Return what it means that this machine's clock is ahead of the service's, or behind it."""
    off, most = abs(ahead_seconds), duration(_CLOCK_SKEW_SECONDS)
    text = f"this machine is {duration(off)} {'ahead of' if ahead_seconds > 0 else 'behind'} the service"
    if off > _CLOCK_SKEW_SECONDS:
        return Outcome.FAILED, f"{text}, and Kerberos allows {most}: set the time"
    if off > _NOTABLE_SKEW_SECONDS:
        return Outcome.NOTE, f"{text}; more than {most} would be too much for Kerberos"
    return Outcome.OK, text if off > 1 else "as the service's"  # the date that is sent has whole seconds


def _ticket() -> Seen:
    ticket = ticket_status()
    until = f"until {_local(ticket.end)}" if ticket.end else "without a known end"
    renewable = f", renewable until {_local(ticket.renewable_until)}" if ticket.renewable_until else ", not renewable"
    facts = {
        "principal": ticket.principal,
        "cache": ticket.cache,
        "end": _iso(ticket.end),
        "renewable_until": _iso(ticket.renewable_until),
    }
    return Seen(f"{ticket.principal} in {ticket.cache}, {until}{renewable}", facts)


def _local(time: datetime) -> str:
    return f"{time.astimezone():%Y-%m-%d %H:%M}"


def _iso(time: datetime | None) -> str | None:
    return time.isoformat() if time else None


def _chain(made: Handshake) -> str:
    if made.ends is None:
        return "certificates unknown"
    signed = " signed by ".join(f"'{name}'" for name in dict.fromkeys([*made.chain, made.signer]))
    return f"{signed}, valid until {_local(made.ends)}"
