# Fetches the packages of a lock, compares their hashes, and leaves one archive of what is in them. No script of a package
# runs.
. "$(dirname "${BASH_SOURCE[0]}")/tool.sh"

tree=$work/tree
mkdir -p "$tree" "$own/files"
if [ "$platform" != "$(cat "$here/platform")" ]; then failed_as platform; fi

# Lines of address, file name and hash.
mapfile -t fetch <"$here/fetch"

apt_fetch() {
  (cd "$own/files" && /usr/lib/apt/apt-helper download-file "${fetch[@]}") >"$own/said" 2>&1 || failed "$own/said"
  local at
  for ((at = 1; at < ${#fetch[@]}; at += 3)); do
    dpkg-deb -x "$own/files/${fetch[at]}" "$tree" >"$own/said" 2>&1 || failed "$own/said"
    rm -f "$own/files/${fetch[at]}"
  done
}

apk_fetch() {
  local at
  for ((at = 0; at < ${#fetch[@]}; at += 3)); do
    wget -q -O "$own/files/${fetch[at + 1]}" "${fetch[at]}" >"$own/said" 2>&1 || failed "$own/said"
    printf '%s  %s\n' "${fetch[at + 2]#SHA256:}" "$own/files/${fetch[at + 1]}" >"$own/sum"
    sha256sum -c "$own/sum" >"$own/said" 2>&1 || { echo "${fetch[at + 1]} Hash Sum mismatch" >"$own/said"; failed "$own/said"; }
    tar -xzf "$own/files/${fetch[at + 1]}" -C "$tree" >"$own/said" 2>&1 || failed "$own/said"
    rm -f "$own/files/${fetch[at + 1]}"
  done
  rm -rf "$tree"/.[A-Za-z]*
}

# The absolute path without `.` and `..`.
plain() {
  local part parts=() IFS=/
  set -f
  for part in $1; do
    case $part in
      '' | .) ;;
      ..) if ((${#parts[@]} > 0)); then unset 'parts[-1]'; fi ;;
      *) parts+=("$part") ;;
    esac
  done
  set +f
  printf '/%s' "${parts[*]}"
}

# Links by absolute paths mean the root: those to something in the tree are made relative. Links to elsewhere go.
links() {
  local link said target
  while IFS= read -r -d '' link; do
    said=$(readlink "$link")
    case $said in
      /*) target=$(plain "$tree$said") ;;
      *) target=$(plain "$(dirname "$link")/$said") ;;
    esac
    if [[ $target != "$tree"/* ]] || ! [[ -e $target || -L $target ]]; then
      rm -f "$link"
    elif [[ $said == /* ]]; then
      rm -f "$link"
      ln -s "$(relative "$link" "$target")" "$link"
    fi
  done < <(find "$tree" -type l -print0)
}

# The path from the folder of the first to the second, both below the tree.
relative() {
  local from=${1#"$tree"/} up=''
  while [[ $from == */* ]]; do
    from=${from#*/}
    up+=../
  done
  printf '%s' "$up${2#"$tree"/}"
}

"${manager}_fetch"
links
tar -cf "$work/layer.tar" -C "$tree" . >"$own/said" 2>&1 || failed "$own/said"
printf true >"$own/word"
answer installed "$own/word"
