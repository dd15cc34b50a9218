# Decides by the system's own package manager which packages a script gets, without installing any; or looks packages up.
. "$(dirname "${BASH_SOURCE[0]}")/tool.sh"

apt_lock() {
  apt-get update -q >"$own/said" 2>&1 || failed "$own/said"
  if [ -s "$here/search" ]; then
    apt-cache search -- "$(cat "$here/search")" >"$own/found" 2>"$own/said" || failed "$own/said"
    answer found "$own/found"
  fi
  mapfile -t wanted <"$here/wanted"
  if ! apt-get install -y -q --print-uris -- "${wanted[@]}" >"$own/closure" 2>"$own/errors"; then
    cat "$own/closure" "$own/errors" "$own/said" >"$own/all"
    failed "$own/all"
  fi
  # On a system without packages this is what every one has.
  apt-get dist-upgrade -y -q --print-uris >"$own/base" 2>"$own/errors" || failed "$own/errors"
  awk "/^'/ {split(\$2, part, \"_\"); gsub(\"%3a\", \":\", part[2]); print part[1] \"=\" part[2]}" "$own/closure" >"$own/names"
  : >"$own/shown"
  if [ -s "$own/names" ]; then
    xargs apt-cache show <"$own/names" >"$own/shown" 2>"$own/errors" || failed "$own/errors"
  fi
  awk '/^(Package|Version|Architecture|SHA256|Depends|Pre-Depends|Provides):/ || /^$/' "$own/shown" >"$own/facts"
  grep "^'" "$own/closure" >"$own/uris"
  awk "/^'/ {print \$2}" "$own/base" >"$own/base-names"
  answer uris "$own/uris" base "$own/base-names" facts "$own/facts"
}

apk_lock() {
  "${apk[@]}" add --initdb --no-scripts >"$own/said" 2>&1 || failed "$own/said"
  "${apk[@]}" update >"$own/said" 2>&1 || failed "$own/said"
  if [ -s "$here/search" ]; then
    "${apk[@]}" search --verbose --description -- "$(cat "$here/search")" >"$own/found" 2>"$own/said" || failed "$own/said"
    answer found "$own/found"
  fi
  # The beginning of a version is asked for in apk's own way: `jq=1.*` as `jq=~1`.
  mapfile -t wanted < <(sed -E 's/=(.*[^.*])\.?\*$/=~\1/' "$here/wanted")
  # The solver decides; what fetches knows of no version, and takes the newest.
  "${apk[@]}" add --simulate --no-scripts -- "${wanted[@]}" >"$own/chosen" 2>"$own/errors" || failed "$own/errors"
  sed -n 's/^([0-9 ]*\/[0-9]*) Installing \([^ ]*\) (\([^)]*\)).*/\1 \2/p' "$own/chosen" >"$own/names"
  mapfile -t names < <(cut -d' ' -f1 "$own/names")
  "${apk[@]}" fetch --simulate --url -- "${names[@]}" >"$own/urls" 2>&1 || failed "$own/urls"
  while read -r name version; do
    grep -qF "/$name-$version.apk" "$own/urls" || echo "  $name (not the newest):"
  done <"$own/names" >"$own/older"
  [ ! -s "$own/older" ] || failed "$own/older"
  mkdir -p "$own/files"
  "${apk[@]}" fetch --output "$own/files" -- "${names[@]}" >"$own/said" 2>&1 || failed "$own/said"
  (cd "$own/files" && sha256sum -- *.apk) >"$own/sums" 2>/dev/null
  "${apk[@]}" dot -- "${names[@]}" >"$own/graph" 2>"$own/said" || failed "$own/said"
  apk info --quiet >"$own/base-names" 2>/dev/null || : >"$own/base-names"
  answer urls "$own/urls" sums "$own/sums" graph "$own/graph" base "$own/base-names"
}

"${manager}_lock"
