#!/usr/bin/env bash
# Counts words with what every machine has: associative arrays, and no parser of JSON but this small one.
set -euo pipefail
LC_ALL=C
declare -A counts=()
total=0
while IFS= read -r word; do
    counts[$word]=$((${counts[$word]:-0} + 1))
    total=$((total + 1))
done < <(grep -o '"\([^"\\]\|\\.\)*"' <<<"$PARAM_WORDS")
pairs=()
while IFS= read -r word; do
    pairs+=("$word:${counts[$word]}")
done < <(printf '%s\n' "${!counts[@]}" | sort)
joined=$(IFS=,; echo "${pairs[*]}")
printf '{"total":%d,"words":{%s}}\n' "$total" "$joined"
