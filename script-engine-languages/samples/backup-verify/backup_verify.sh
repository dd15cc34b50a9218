#!/usr/bin/env bash
# Verifies that backups exist, that the newest one is recent and not suspiciously small, and that archives among them
# can be read to their end.
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
    result="{\"check\": \"backup-verify\", \"passed\": $1, \"message\": $(quoted "$2"), \"directory\": $(quoted "$directory")"
    result+=", \"count\": $count, \"newest\": $(quoted "$newest"), \"size_bytes\": $size, \"age_seconds\": $age}"
    printf '%s\n@@%s\n' "$2" "$result"
    if [[ -n ${SCRIPT_RESULT:-} ]]; then
        printf '%s\n' "$result" >"$SCRIPT_RESULT"
    fi
    [[ $1 == true ]]
    exit
}

directory=$(argument directory /backups)
pattern=$(argument pattern '*')
max_age_hours=$(argument max_age_hours 26)
min_size=$(argument min_size_bytes 1)
min_count=$(argument min_count 1)
read_archives=$(argument read_archives true)
count=0 newest='' size=0 age=0

if [[ ! -d $directory ]]; then
    finish false "there is no folder $directory"
fi
if [[ ! -r $directory || ! -x $directory ]]; then
    finish false "the folder $directory can't be read"
fi

now=$(date +%s)
last=-1
while IFS= read -r -d '' file; do
    count=$((count + 1))
    changed=$(stat -c %Y -- "$file")
    if ((changed > last)); then
        last=$changed newest=$file
    fi
done < <(find "$directory" -maxdepth 1 -type f -name "$pattern" -print0)

if ((count < min_count)); then
    finish false "$directory has $count backups that match $pattern, less than $min_count"
fi
if [[ -z $newest ]]; then
    finish true "$directory has no backups, and none are asked for"
fi

size=$(stat -c %s -- "$newest")
age=$((now - last))
name=${newest##*/}
if ((age > max_age_hours * 3600)); then
    finish false "the newest backup, $name, is $((age / 3600)) h old, older than $max_age_hours h"
fi
if ((size < min_size)); then
    finish false "the newest backup, $name, has $size bytes, less than $min_size"
fi

# A copy that was cut off looks like a backup until it is needed.
if [[ $read_archives == true ]]; then
    case $name in
        *.tar.gz | *.tgz) reader=(tar -tzf) ;;
        *.gz) reader=(gzip -t) ;;
        *.tar) reader=(tar -tf) ;;
        *) reader=() ;;
    esac
    if ((${#reader[@]} > 0)) && ! said=$("${reader[@]}" "$newest" 2>&1 >/dev/null); then
        finish false "the newest backup, $name, is damaged: ${said%%$'\n'*}"
    fi
fi
finish true "backups in $directory: $count; the newest, $name, has $size bytes and is $((age / 60)) min old"
