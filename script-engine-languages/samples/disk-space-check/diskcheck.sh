#!/usr/bin/env bash
# Compares the disk space in use at a mount point with a threshold, and the inodes too: a disk without free inodes is
# as full as one without free blocks.
# apt: jq
set -euo pipefail

# Says how it went: a line for people, a structured record, a JSON result, an exit code.
finish() { # passed message details
    local result
    result=$(jq -cn --argjson passed "$1" --arg message "$2" --argjson details "$3" \
        '{check: "disk-space-check", $passed, $message} + $details')
    printf '%s\n@@%s\n' "$2" "$result"
    if [[ -n ${SCRIPT_RESULT:-} ]]; then
        printf '%s\n' "$result" >"$SCRIPT_RESULT"
    fi
    [[ $1 == true ]]
    exit
}

args_file=${SCRIPT_ARGS_FILE:-/scripts/args.json}
argument() { # name default
    if [[ -e $args_file ]]; then
        jq -r --arg name "$1" --arg default "$2" '.[$name] // $default' "$args_file"
    else
        printf '%s\n' "$2"
    fi
}

mount_point=$(argument mount_point /)
threshold=$(argument threshold_percent 80)

# Used and available space in KiB. What is left is what an ordinary user can have: reserved blocks count as used.
if ! space=$(df -Pk -- "$mount_point" 2>&1); then
    finish false "disk space: $mount_point can't be looked at: ${space#df: }" '{}'
fi
read -r used available < <(awk 'NR == 2 { print $3, $4 }' <<<"$space")
if ((used + available == 0)); then
    finish false "disk space: $mount_point has no blocks: it is no disk" '{}'
fi
# Rounded up, as df does.
percent=$(((used * 100 + used + available - 1) / (used + available)))

# Some file systems count no inodes.
inodes=$(df -Pi -- "$mount_point" 2>/dev/null | awk 'NR == 2 && $2 + 0 > 0 { print int($3 * 100 / $2 + 0.999) }') || true
details=$(jq -cn --arg mount_point "$mount_point" --argjson percent "$percent" --argjson threshold "$threshold" \
    --argjson used "$used" --argjson available "$available" --argjson inodes "${inodes:-null}" \
    '{$mount_point, used_percent: $percent, threshold_percent: $threshold, used_bytes: ($used * 1024),
      available_bytes: ($available * 1024), inodes_used_percent: $inodes}')

summary="$mount_point is $percent % full, $((available / 1024)) MiB left, inodes ${inodes:-0} %"
if ((percent > threshold || ${inodes:-0} > threshold)); then
    finish false "disk space is short: $summary, threshold $threshold %" "$details"
fi
finish true "disk space is fine: $summary, threshold $threshold %" "$details"
