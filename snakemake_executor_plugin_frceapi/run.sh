# The run script of all jobs: claims the submission, runs the job command once, records its end.
# The file `control` of the job has set the variables frceapi_*; docs/design.md, "The run directory", tells the story.
# Everything stands in functions, so that bash has read the file to its end before the job begins.

frceapi_say() { printf 'frceapi: %s\n' "$*"; }

frceapi_now() {
    local now=${EPOCHREALTIME:-}
    [ -n "$now" ] || printf -v now '%(%s)T' -1
    printf -v "$1" '%s' "${now/,/.}"
}

# link(2) is atomic on NFS, but its answer can be lost: what counts is the content that is read back.
frceapi_claim() {
    local mine="$frceapi_directory/.claim.$frceapi_id.$$.$RANDOM" owner=
    printf '%s\n' "$frceapi_id" >"$mine" || {
        frceapi_say "cannot write in $frceapi_directory on $(uname -n); nothing is run"
        rm -f "$mine"
        exit 74
    }
    ln "$mine" "$frceapi_directory/claim" 2>/dev/null ||
        (set -o noclobber && cat "$mine" >"$frceapi_directory/claim") 2>/dev/null
    rm -f "$mine"
    read -r owner <"$frceapi_directory/claim"
    [ "$owner" = "$frceapi_id" ] && return
    frceapi_say "job $frceapi_id is a twin of job ${owner:-unknown}, which runs this submission; nothing is run twice"
    [ -z "$frceapi_follows_owner" ] || frceapi_follow_owner
    exit 75
}

# Where nobody is there to submit anew what Slurm cancels because of a twin, the twin ends after the owner of the claim,
# and well if that did, as long as the owner shows that it lives.
frceapi_follow_owner() {
    local beat seen= quiet=0
    : >"$frceapi_directory/twin"
    while [ "$quiet" -lt "$frceapi_silence_seconds" ] && ! frceapi_is_given_up; do
        frceapi_look_upstream "$frceapi_directory"
        case $? in
        0) exit 0 ;;
        1) return ;;
        esac
        { read -r beat <"$frceapi_directory/alive"; } 2>/dev/null && [ "$beat" != "$seen" ] && seen=$beat quiet=0
        sleep "$frceapi_watch_seconds"
        quiet=$((quiet + frceapi_watch_seconds))
    done
}

# Shows twins, where there are any, that this job lives.
frceapi_beat() {
    frceapi_beats=$((${frceapi_beats:-0} + 1))
    [ $((frceapi_beats % 8)) != 1 ] || [ ! -e "$frceapi_directory/twin" ] ||
        printf '%s\n' "$frceapi_beats" >"$frceapi_directory/alive"
}

frceapi_open_log() {
    local log="$frceapi_log_directory/$frceapi_id.log"
    # A log that is there before the first start is of another job: the numbers of a sandbox begin anew each time.
    if [ "$frceapi_restart" = 0 ] && [[ -e $log || -L $log ]]; then rm -f "$log"; fi
    umask "$frceapi_umask"
    if { [ -d "$frceapi_log_directory" ] || mkdir -p "$frceapi_log_directory"; } && true >>"$log"; then
        exec </dev/null >>"$log" 2>&1
    else
        frceapi_say "cannot write the log $log on $(uname -n); the output stays where Slurm puts it"
    fi
    umask 077
}

frceapi_link_end() { ln -f "$1" "$frceapi_done" 2>/dev/null || cp "$1" "$frceapi_done"; }

# A requeued job starts again from the top; a command that has ended by itself is not run again.
frceapi_repeat_own_end() {
    local end line
    for end in "$frceapi_directory/end.$frceapi_id".*; do
        [ -f "$end" ] && read -r line <"$end" || continue
        case $line in *' cause=own '*) ;; *) continue ;; esac
        frceapi_say "the job command has ended before this restart; its exit code is repeated"
        frceapi_link_end "$end"
        line=${line#* exit=}
        exit "${line%% *}"
    done
}

# CPUs that a job of several is confined to, empty if to none: nproc(1) obeys OpenMP's variables, and a node that has
# fewer CPUs than Slurm was told gives a job all that it has.
frceapi_find_usable_cpus() {
    local OMP_NUM_THREADS='' OMP_THREAD_LIMIT=''
    frceapi_usable_cpus=
    [ "${SLURM_CPUS_PER_TASK:-1}" != 1 ] || return 0
    frceapi_usable_cpus=$(nproc)
    [ "$frceapi_usable_cpus" != "$(nproc --all)" ] || frceapi_usable_cpus=
} 2>/dev/null

# What Slurm gave, for a comparison with what was asked; an empty value stands for "not set".
frceapi_given() {
    local limit=
    if [ -n "$frceapi_ask_limit" ]; then
        limit=$(timeout 5 scontrol --oneliner show job "$frceapi_id" 2>/dev/null)
        case $limit in *' TimeLimit='*) limit=${limit#* TimeLimit=} limit=${limit%% *} ;; *) limit= ;; esac
    fi
    frceapi_find_usable_cpus
    printf ' %s' "partition=${SLURM_JOB_PARTITION:-}" "ntasks=${SLURM_NTASKS:-}" \
        "ntasks_per_core=${SLURM_NTASKS_PER_CORE:-}" "ntasks_per_node=${SLURM_NTASKS_PER_NODE:-}" \
        "cpus_per_task=${SLURM_CPUS_PER_TASK:-}" "cpus_on_node=${SLURM_CPUS_ON_NODE:-}" "cpus_usable=$frceapi_usable_cpus" \
        "mem_per_cpu=${SLURM_MEM_PER_CPU:-}" "mem_per_node=${SLURM_MEM_PER_NODE:-}" \
        "dependency=${SLURM_JOB_DEPENDENCY:-}" "time_limit=$limit"
}

frceapi_record_start() {
    local part="$frceapi_directory/.started.$frceapi_id"
    frceapi_now frceapi_start
    frceapi_node=${SLURMD_NODENAME:-$(uname -n)}
    {
        printf 'id=%s restart=%s node=%s cluster=%s start=%s' "$frceapi_id" "$frceapi_restart" \
            "$frceapi_node" "${SLURM_CLUSTER_NAME:-}" "$frceapi_start"
        frceapi_given
        printf '\n'
    } >"$part" && mv -f "$part" "$frceapi_directory/started"
}

# The most memory that the job's own cgroup has held (cgroups(7)); Slurm names it after the job. Fails without one.
frceapi_read_cgroup() {
    local path top file bytes
    while IFS=: read -r _ _ path; do
        case $path/ in */"job_$frceapi_id"/*) ;; *) continue ;; esac
        path+=/ top="${path%%"/job_$frceapi_id/"*}/job_$frceapi_id"
        for file in "$2$top/memory.peak" "$2/memory$top/memory.max_usage_in_bytes"; do
            read -r bytes <"$file" && frceapi_peak_kb=$((bytes / 1024)) && return
        done
    done <"$1"
    return 1
} 2>/dev/null

frceapi_measure_memory() {
    local frceapi_line=
    frceapi_peak_kb= frceapi_peak_by=cgroup
    frceapi_read_cgroup "/proc/$$/cgroup" /sys/fs/cgroup && return
    read -r frceapi_line <"$frceapi_directory/peak"
    frceapi_peak_kb=${frceapi_line#kb=} frceapi_peak_by=samples
} 2>/dev/null

frceapi_record_end() {
    local code=$1 cause=$2 end="$frceapi_directory/end.$frceapi_id.$frceapi_restart" part stat finish try
    part="$frceapi_directory/.end.$frceapi_id.$frceapi_restart"
    frceapi_now finish
    read -r stat </proc/$$/stat
    # proc(5): after the command name in parentheses, cutime and cstime are the 14th and 15th field.
    read -r -a stat <<<"${stat##*) }"
    frceapi_measure_memory
    for try in 1 2 3; do
        printf 'id=%s restart=%s exit=%s cause=%s start=%s end=%s cpu_ticks=%s gate=%s node=%s peak_kb=%s peak_by=%s\n' \
            "$frceapi_id" "$frceapi_restart" "$code" "$cause" "${frceapi_start:-$finish}" "$finish" \
            "$((stat[13] + stat[14]))" "${frceapi_gate:-0}" "$frceapi_node" "$frceapi_peak_kb" "$frceapi_peak_by" \
            >"$part" &&
            mv -f "$part" "$end" && frceapi_link_end "$end" && return
        frceapi_say "cannot record the end of the job in $frceapi_directory on $(uname -n) (try $try of 3)"
        sleep "$try"
    done
}

# For people who look at the queue: the API gives every job the same name. No job waits for it, and none fails by it. A
# sandbox's numbers mean nothing to a Slurm of the same machine.
frceapi_rename() {
    [ -n "$frceapi_name" ] && [ "${SLURM_CLUSTER_NAME:-sandbox}" != sandbox ] || return 0
    (timeout 5 scontrol update "JobId=$frceapi_id" "JobName=$frceapi_name" </dev/null >/dev/null 2>&1 &)
}

# Whether a run directory, this job's own if none is named, holds the order to cancel.
frceapi_cancel_ordered() {
    local order=
    read -r _ order <"${1:-$frceapi_directory}/control"
    [ "$order" = cancel ]
} 2>/dev/null

# Whether nobody waits for this job any more: its run directory was removed, and the file system that held it answers.
frceapi_is_given_up() { [ -d "${frceapi_directory%/*}" ] && [ ! -e "$frceapi_directory" ]; }

frceapi_end_given_up() {
    frceapi_say "the run directory $frceapi_directory was removed; nothing is run"
    exit 74
}

# The wait at the gate is no time of the job command: the recorded start is when the job was let through.
frceapi_note_gate() {
    [ -n "${frceapi_gate_from:-}" ] || return 0
    frceapi_gate=$((SECONDS - frceapi_gate_from)) frceapi_gate_from=
    # The clock of a node can be set back.
    [ "$frceapi_gate" -ge 0 ] || frceapi_gate=0
    frceapi_now frceapi_start
}

# Ends a job whose command was not begun.
frceapi_leave() {
    trap '' TERM INT HUP
    frceapi_note_gate
    [ -z "${3:-}" ] || frceapi_say "$3"
    frceapi_record_end "$1" "$2"
    exit "$1"
}

# Reads the order, and whether the heartbeat is another one. Both are opened anew: NFS shows a change to who opens.
frceapi_look_at_gate() {
    local beat
    frceapi_order=
    read -r _ frceapi_order <"$frceapi_directory/control"
    ! read -r beat <"$frceapi_heartbeat" || [ "$beat" = "$frceapi_beat" ] || frceapi_beat=$beat frceapi_quiet=0
} 2>/dev/null

# Looks come one soon after the other at first, because most gates open shortly after their job has started.
frceapi_pause_at_gate() {
    local tenths=$frceapi_gate_tenths
    [ "$frceapi_looks" -lt 100 ] || tenths=$((10 * frceapi_watch_seconds))
    frceapi_looks=$((frceapi_looks + 1))
    sleep "$((tenths / 10)).$((tenths % 10))" &
    wait "$!" && frceapi_quiet=$((frceapi_quiet + tenths))
}

# Takes over what another job has found: where one has waited in vain, those behind it need not.
frceapi_look_for_silence() {
    local silent
    read -r silent <"$frceapi_heartbeat.silent" && [ "$silent" = "$frceapi_beat" ] &&
        frceapi_quiet=$((10 * frceapi_silence_seconds))
} 2>/dev/null

frceapi_go_on() {
    frceapi_say "Snakemake, which lets this job begin, was silent for $frceapi_silence_seconds s;" \
        "the job goes on by itself"
    [ -z "$frceapi_beat" ] || [ ! -e "$frceapi_heartbeat" ] || echo "$frceapi_beat" >"$frceapi_heartbeat.silent"
}

# A job that was submitted ahead of its inputs begins when its client says so, or when the client is gone; then the ends
# of the upstream jobs alone decide. Pauses are counted and not the time: no silence is a clock that was set, nor a file
# system that hung, which has held up the heartbeat too.
frceapi_await_gate() {
    local gone=0
    frceapi_beat= frceapi_quiet=0 frceapi_looks=0 frceapi_gate_from=
    while :; do
        frceapi_look_at_gate
        case $frceapi_order in
        run) break ;;
        cancel) frceapi_leave 143 cancelled "this job was cancelled before its command began" ;;
        esac
        if frceapi_is_given_up; then gone=$((gone + 1)); else gone=0; fi
        [ "$gone" -lt 2 ] || frceapi_end_given_up
        [ "$frceapi_looks" -gt 0 ] || frceapi_look_for_silence
        if [ "$frceapi_quiet" -ge "$((10 * frceapi_silence_seconds))" ]; then
            frceapi_go_on
            break
        fi
        frceapi_gate_from=${frceapi_gate_from:-$SECONDS}
        frceapi_pause_at_gate
    done
    frceapi_note_gate
}

# What the run directory of an upstream job tells: 0 if the job has succeeded, 1 if it never will, 2 if that is open.
frceapi_look_upstream() {
    local owner end line latest= highest=-1 code
    read -r owner <"$1/claim" || owner=
    frceapi_seen="upstream job ${owner:-unknown} ($1) did not succeed:"
    if [ -n "$owner" ]; then
        for end in "$1/end.$owner".*; do
            [ "${end##*.}" -gt "$highest" ] && read -r line <"$end" || continue
            highest=${end##*.} latest=$line
        done
    fi
    case $latest in
    *' cause=own '*)
        code=${latest#* exit=} code=${code%% *}
        frceapi_seen+=" it ended with exit code $code"
        [ "$code" = 0 ]
        return
        ;;
    *' cause=upstream '*)
        frceapi_seen+=" its own upstream job did not"
        return 1
        ;;
    esac
    if frceapi_cancel_ordered "$1"; then
        frceapi_seen+=" it was cancelled"
        return 1
    fi
    if [ -z "$owner" ]; then
        frceapi_seen+=" it has not begun"
    elif [ -z "$latest" ]; then
        frceapi_seen+=" it has not ended"
    else
        frceapi_seen+=" it was ended by a signal from outside"
    fi
    return 2
} 2>/dev/null

# A dependency is a hint, which the cluster may have ignored: what counts is what the upstream jobs have recorded. A new
# name can be invisible here for as long as NFS keeps the attributes of a directory.
frceapi_await_upstream() {
    local upstream open late waited=0
    while :; do
        open=() late=
        for upstream in "${frceapi_upstream[@]}"; do
            frceapi_look_upstream "$upstream"
            case $? in
            1) frceapi_leave 76 upstream "$frceapi_seen; the job command is not run" ;;
            2) open+=("$upstream") late=${late:-$frceapi_seen} ;;
            esac
        done
        frceapi_upstream=("${open[@]}")
        [ "${#open[@]}" -gt 0 ] || break
        [ "$waited" -lt "$frceapi_upstream_seconds" ] ||
            frceapi_leave 76 upstream "$late (waited $waited s for it); the job command is not run"
        # Bash runs a trap at once while it waits for a child, but not before one in the foreground has ended.
        sleep "$frceapi_watch_seconds" &
        wait "$!"
        waited=$((waited + frceapi_watch_seconds))
        ! frceapi_cancel_ordered || frceapi_leave 143 cancelled "this job was cancelled before its command began"
    done
}

frceapi_restore_environment() {
    local frceapi_entry frceapi_name frceapi_value
    while IFS= read -r -d '' frceapi_entry; do
        frceapi_name=${frceapi_entry%%=*} frceapi_value=${frceapi_entry#*=}
        case $frceapi_name in
        BASH_FUNC_*%%)
            frceapi_name=${frceapi_name#BASH_FUNC_} frceapi_name=${frceapi_name%'%%'}
            case $frceapi_name in *[!A-Za-z0-9_:.+-]* | '') continue ;; esac
            eval "$frceapi_name $frceapi_value" && export -f "$frceapi_name"
            ;;
        *[!A-Za-z0-9_]* | [0-9]* | '') ;;
        # UID and the like cannot be set; with POSIXLY_CORRECT a failing `export` would end the shell.
        *) command export "$frceapi_name=$frceapi_value" || command export "$frceapi_name" ;;
        esac
    done <"$frceapi_environment"
} 2>/dev/null

# Runs in a subshell of its own: what the environment, the set-up and the umask change ends with the job command.
frceapi_payload() {
    if [ -n "$frceapi_environment" ]; then
        [ -r "$frceapi_environment" ] || {
            frceapi_say "cannot read the environment file $frceapi_environment on $(uname -n)"
            exit 74
        }
        frceapi_restore_environment
    fi
    [ -z "$frceapi_path_first" ] || export PATH="$frceapi_path_first${PATH:+:$PATH}"
    [ -z "$frceapi_tmpdir" ] || export TMPDIR="$frceapi_tmpdir"
    umask "$frceapi_umask"
    builtin cd -- "$frceapi_workdir" || {
        frceapi_say "cannot enter the working directory $frceapi_workdir on $(uname -n)"
        exit 72
    }
    [ -z "$frceapi_setup" ] || eval "$frceapi_setup"
    exec "${frceapi_command[@]}"
}

frceapi_make_tmpdir() {
    frceapi_tmpdir=
    [ -n "$frceapi_scratch" ] || return 0
    frceapi_tmpdir=$(mktemp -d -- "$frceapi_scratch/frceapi-$frceapi_id-XXXXXX") ||
        frceapi_leave 73 own "cannot make a TMPDIR in $frceapi_scratch on $(uname -n); see --frceapi-scratch"
    trap 'rm -rf -- "$frceapi_tmpdir"' EXIT
}

# Adds the resident memory of a process and of all below it, and keeps the most that one of them has had, in kB. A child
# stands in the list of the thread that began it (proc(5)); of a job with very many threads a part is measured.
frceapi_add_memory() {
    local status most now list child children
    read -r -d '' status <"/proc/$1/status"
    case $status in *VmHWM:*VmRSS:*) ;; *) return ;; esac
    most=${status#*VmHWM:} now=${status#*VmRSS:}
    frceapi_now_kb=$((frceapi_now_kb + ${now%%kB*})) most=${most%%kB*}
    [ "$((most))" -le "$frceapi_one_kb" ] || frceapi_one_kb=$((most))
    for list in "/proc/$1/task/"*/children; do
        [ "$((frceapi_lists += 1))" -le 500 ] || return
        children=()
        read -r -a children <"$list"
        for child in "${children[@]}"; do frceapi_add_memory "$child"; done
    done
}

# A job that is killed for its memory leaves no end, so the peak stands there before.
frceapi_note_memory() {
    frceapi_now_kb=0 frceapi_one_kb=0 frceapi_lists=0
    frceapi_add_memory "$frceapi_child"
    [ "$frceapi_now_kb" -ge "$frceapi_one_kb" ] || frceapi_now_kb=$frceapi_one_kb
    [ "$frceapi_now_kb" -gt "$((frceapi_most_kb + frceapi_most_kb / 20))" ] || return 0
    frceapi_most_kb=$frceapi_now_kb
    printf 'kb=%s\n' "$frceapi_now_kb" >"$frceapi_directory/peak"
}

frceapi_watch() {
    local looks=0 frceapi_most_kb=0
    # Where the run script itself was killed, its number can soon be that of another process.
    while sleep "$frceapi_watch_seconds" && kill -0 $$; do
        [ -z "$frceapi_follows_owner" ] || frceapi_beat
        if frceapi_is_given_up; then looks=$((looks + 1)); else looks=0; fi
        if [ "$looks" -ge 2 ] || frceapi_cancel_ordered; then kill -USR1 $$; fi
        frceapi_note_memory
    done
}

frceapi_stop() {
    frceapi_cause=$1 frceapi_interrupted=1
    kill -TERM -- "-$frceapi_child"
    [ "$1" = signal ] || (sleep 10 && kill -KILL -- "-$frceapi_child") &
} 2>/dev/null

# Nothing that the job command left behind may run on beside a restart; Slurm misses what has lost its parent, unless it
# keeps jobs in cgroups.
frceapi_end_rest() {
    local try
    kill -TERM -- "-$frceapi_child" || return 0
    for try in 1 2 3 4 5 6 7 8 9 10; do
        sleep 0.2
        kill -0 -- "-$frceapi_child" || return 0
    done
    kill -KILL -- "-$frceapi_child"
} 2>/dev/null

frceapi_run() {
    local code watcher
    frceapi_cause=own frceapi_interrupted= frceapi_child=
    trap 'frceapi_stop signal' TERM INT HUP
    trap 'frceapi_stop cancelled' USR1
    set -m
    frceapi_payload &
    frceapi_child=$!
    # A signal that came before this line has found no child.
    [ "$frceapi_cause" = own ] || frceapi_stop "$frceapi_cause"
    frceapi_watch >/dev/null 2>&1 &
    watcher=$!
    set +m
    # A trap ends `wait` early with a code of its own: then the child is waited for again, unless it is gone, because
    # bash can wait for ever for a child that ended while a trap was due.
    while :; do
        frceapi_interrupted=
        wait "$frceapi_child"
        code=$?
        # Slurm signals the processes of a job one after another: the signal that ended the command may still be coming.
        [ "$code" -le 128 ] || [ -n "$frceapi_interrupted" ] || sleep 1
        [ -n "$frceapi_interrupted" ] && kill -0 "$frceapi_child" 2>/dev/null || break
    done
    trap '' TERM INT HUP USR1
    kill -TERM -- "-$watcher" 2>/dev/null
    frceapi_end_rest
    [ "$frceapi_cause" = own ] || code=143
    frceapi_record_end "$code" "$frceapi_cause"
    return "$code"
}

frceapi_main() {
    frceapi_id=${SLURM_JOB_ID:?is not set: this script runs as a Slurm job}
    frceapi_restart=${SLURM_RESTART_COUNT:-0}
    umask 077
    frceapi_claim
    frceapi_open_log
    frceapi_repeat_own_end
    trap 'frceapi_leave 143 signal' TERM INT HUP
    frceapi_record_start
    frceapi_rename
    ! frceapi_cancel_ordered || frceapi_leave 143 cancelled "this job was cancelled before it started"
    [ -z "$frceapi_heartbeat" ] || frceapi_await_gate
    [ "${#frceapi_upstream[@]}" = 0 ] || frceapi_await_upstream
    ! frceapi_is_given_up || frceapi_end_given_up
    frceapi_make_tmpdir
    frceapi_run
}

frceapi_main; exit
