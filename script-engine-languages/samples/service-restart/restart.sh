#!/usr/bin/env bash
# Restarts a service and makes sure that it came up and stayed up: the service manager calls it active, its port takes
# connections if one is named, and after a while both are still so and it was not started again in between.
#
# `manager` is the command that manages services, with shell-like quotes: `systemctl`, `systemctl --user`,
# `ssh ops@web-1 sudo systemctl`.
set -euo pipefail

# Bash reads no JSON, so this finds what it needs: a flat object's strings, numbers and booleans.
args_file=${SCRIPT_ARGS_FILE:-/scripts/args.json}
args=$([[ ! -e $args_file ]] || cat -- "$args_file")
argument() { # name default
    local value='"(([^"\]|\\.)*)"|(-?[0-9.]+|true|false)'
    if [[ ! $args =~ \"$1\"[[:space:]]*:[[:space:]]*($value) ]]; then
        printf '%s' "$2"
    elif [[ -n ${BASH_REMATCH[4]} ]]; then
        printf '%s' "${BASH_REMATCH[4]}"
    else
        printf '%b' "${BASH_REMATCH[2]//\\\"/\"}"
    fi
}

quoted() { # text
    local text=${1//\\/\\\\}
    text=${text//\"/\\\"}
    text=${text//[[:cntrl:]]/ }
    printf '"%s"' "$text"
}

# Says how it went: a line for people, a structured record, a JSON result, an exit code.
finish() { # passed message
    local result
    result="{\"check\": \"service-restart\", \"passed\": $1, \"message\": $(quoted "$2"), \"service\": $(quoted "$service")"
    result+=", \"state_before\": $(quoted "$before"), \"state_after\": $(quoted "$after"), \"seconds\": $SECONDS}"
    printf '%s\n@@%s\n' "$2" "$result"
    if [[ -n ${SCRIPT_RESULT:-} ]]; then
        printf '%s\n' "$result" >"$SCRIPT_RESULT"
    fi
    [[ $1 == true ]]
    exit
}

service=$(argument service my-service.service)
manager_line=$(argument manager systemctl)
timeout=$(argument timeout_seconds 60)
stable=$(argument stable_seconds 5)
host=$(argument health_host localhost)
port=$(argument health_port 0)
before='' after=''

# xargs knows quotes and starts nothing but printf: what is in an argument is never run by a shell.
mapfile -t manager < <(xargs printf '%s\n' <<<"$manager_line" 2>/dev/null || true)
if ((${#manager[@]} == 0)) || ! command -v -- "${manager[0]}" >/dev/null; then
    finish false "service manager not found: $manager_line"
fi

state() {
    # It prints the state and fails unless that is `active`.
    "${manager[@]}" is-active "$service" 2>/dev/null </dev/null | head -n 1 || true
}

restarts() {
    # How often the manager started it again by itself; nothing where it doesn't count.
    "${manager[@]}" show --property=NRestarts --value "$service" 2>/dev/null </dev/null | head -n 1 || true
}

# Whether the port takes a connection and keeps it for a moment: what is broken off at once reached nobody.
answers() {
    ((port == 0)) && return
    timeout 5 bash -c 'exec 3<>"/dev/tcp/$1/$2" || exit; read -r -t 0.3 -N 1 -u 3; (($? == 0 || $? > 128))' \
        bash "$host" "$port" 2>/dev/null
}

before=$(state)
echo "$service is ${before:-unknown}, restarting it"
if ! said=$(timeout "$timeout" "${manager[@]}" restart "$service" 2>&1 </dev/null); then
    after=$(state)
    finish false "$service did not restart: ${said:-the service manager gave no reason}"
fi

until after=$(state) && [[ $after == active ]] && answers; do
    if ((SECONDS >= timeout)); then
        what="it is ${after:-unknown}"
        [[ $after != active ]] || what="$host:$port takes no connections"
        finish false "$service is not healthy $timeout s after its restart: $what"
    fi
    if [[ $after == failed ]]; then
        finish false "$service failed after its restart"
    fi
    sleep 0.5
done

# What crashes soon after its start is active for a moment.
count=$(restarts)
sleep "$stable"
after=$(state)
if [[ $after != active ]]; then
    finish false "$service came up and is ${after:-unknown} $stable s later"
fi
if [[ $(restarts) != "$count" ]]; then
    finish false "$service came up and was started again within $stable s: it crashes"
fi
if ! answers; then
    finish false "$service came up and $host:$port takes no connections $stable s later"
fi
finish true "$service is active, and still is $stable s after its restart"
