# target.sh: starts, kills, stops and watches the target of the jobs, and answers what they ask of it. Sourced by guest_test.sh, whose target
# runs on the outer machine, and by in_guest.sh, whose target runs inside the guest. Both have `say`, and set before start_target:
#   weft        the program (an array: it may need a wrapper)      listen      the addresses for --listen (an array)
#   namespaces  what is served (an array)                          log_dir     where weft.out and weft.log go
#   share       the shared directory, where jobs put their requests
# shellcheck shell=bash disable=SC2154

readonly start_seconds=60 stop_seconds=20
target_pid=''

# start_target: starts the target and waits for "ready".
start_target() {
    local deadline=$((SECONDS + start_seconds))
    # Not by the redirection alone: it happens when the new process gets to run, and the old one's "ready" is there until then.
    : >"$log_dir/weft.out"
    "${weft[@]}" serve "${listen[@]/#/--listen=}" --subsystem "$WEFT_NQN" --allow-any-host "${namespaces[@]/#/--namespace=}" \
        </dev/null >"$log_dir/weft.out" 2>>"$log_dir/weft.log" &
    target_pid=$!
    until grep -qsx ready "$log_dir/weft.out"; do
        kill -0 "$target_pid" 2>/dev/null || { wait "$target_pid" || say "weft ended with status $?"; target_pid=''; return 1; }
        [ "$SECONDS" -lt "$deadline" ] || { say "weft is not ready after $start_seconds s"; return 1; }
        sleep 0.1
    done
}

# kill_target: ends the target as a crash would.
kill_target() {
    kill -KILL "$target_pid" || return 1
    # The shell would print "Killed".
    { wait "$target_pid" || true; } 2>/dev/null
    target_pid=''
}

# stop_target: ends the target politely; its exit status must be 0 within the time limit.
stop_target() {
    local status=0 deadline=$((SECONDS + stop_seconds))
    [ -n "$target_pid" ] || { say "weft does not run"; return 1; }
    if ! kill -TERM "$target_pid" 2>/dev/null; then
        wait "$target_pid" || status=$?
        target_pid=''
        say "weft ended before its SIGTERM, with status $status"
        return 1
    fi
    while kill -0 "$target_pid" 2>/dev/null; do
        [ "$SECONDS" -lt "$deadline" ] || { say "weft still runs $stop_seconds s after SIGTERM"; return 1; }
        sleep 0.1
    done
    wait "$target_pid" || status=$?
    target_pid=''
    [ "$status" = 0 ] || { say "weft ended with status $status after SIGTERM"; return 1; }
}

# target_stats: open files, memory, ticks of processor time, and queue pairs (0 without RDMA) of the target.
target_stats() {
    [ -d "/proc/$target_pid/fd" ] || return 1
    echo "fds $(find "/proc/$target_pid/fd" -mindepth 1 | wc -l) rss_kib $(awk '/^VmRSS:/ { print $2 }' "/proc/$target_pid/status")" \
        "cpu_ticks $(sed 's/.*) //' "/proc/$target_pid/stat" | awk '{ print $12 + $13 }')" \
        "qps $(queue_pairs_of "$target_pid")"
}

# queue_pairs_of PID: how many a process has. The kernel names the thread that made them.
queue_pairs_of() {
    local thread count=0
    while read -r thread; do
        [ ! -d "/proc/$1/task/$thread" ] || count=$((count + 1))
    done < <(rdma resource show qp 2>/dev/null | sed -n 's/.* pid \([0-9]*\) .*/\1/p')
    echo "$count"
}

# answer_job: serves one request that a job put into the shared directory (`ask_target` in jobs/lib.sh), if there is one.
answer_job() {
    local verb answer
    [ -e "$share/rpc/ask" ] || return 0
    verb=$(cat "$share/rpc/ask")
    rm "$share/rpc/ask"
    case $verb in
        kill) kill_target && answer="killed" || answer="error: no target to kill" ;;
        start) start_target && answer="started as $target_pid" || answer="error: the target did not start" ;;
        stats) answer=$(target_stats) || answer="error: no target" ;;
        *) answer="error: unknown request $verb" ;;
    esac
    echo "$answer" >"$share/rpc/answer.new"
    mv "$share/rpc/answer.new" "$share/rpc/answer"
}
