# Decides the modules of a Go script by the Go command.
# Arguments: the job's folder, a folder to write to, the time before which versions were published or `-`, then what to
# get beforehand as `path@query`.
set -eu
scripts=$1 work=$2 before=$3
shift 3
module=$work/module out=$work/out
mkdir -p "$module" "$out" "$work/tmp"
cp "$scripts/module/go.mod" "$scripts/module/imports.go" "$module/"
# The files of a job are for reading.
chmod u+w "$module/"*
cd "$module"

# The language's version, not that of this toolchain to the last number: a lock outlives it.
if ! grep -Eq '^[[:space:]]*go[[:space:]]' go.mod; then
    version=$(go env GOVERSION)
    version=${version#go}
    minor=${version#*.}
    go mod edit -go="${version%%.*}.${minor%%[!0-9]*}"
fi

{
    cat go.mod
    for wanted in "$@"; do echo "$wanted "; done | sed 's/@/ /'
} >"$work/given"

[ $# -eq 0 ] || go get "$@"
go mod tidy

stamp='{{with .Time}}{{.Format "2006-01-02T15:04:05Z"}}{{end}}'

# Newer ones than are wanted, where nobody asked for a version: the newest that is old enough.
rounds=5
while [ "$before" != - ] && [ "$rounds" -gt 0 ]; do
    rounds=$((rounds - 1))
    changed=
    go list -m -f "{{if not .Main}}{{.Path}} {{.Version}} $stamp{{end}}" all >"$work/chosen"
    while read -r path version time; do
        [ "$time" \> "$before" ] || continue
        ! grep -qF -e "$path " "$work/given" || continue
        newest_first=
        for other in $(go list -m -versions -f '{{range .Versions}}{{.}} {{end}}' "$path"); do
            newest_first="$other $newest_first"
        done
        tries=30
        for other in $newest_first; do
            [ "$tries" -gt 0 ] || break
            tries=$((tries - 1))
            [ "$other" != "$version" ] || continue
            published=$(go list -m -f "$stamp" "$path@$other") || continue
            if [ "$published" ] && [ ! "$published" \> "$before" ]; then
                go get "$path@$other"
                changed=yes
                break
            fi
        done
    done <"$work/chosen"
    [ "$changed" ] || break
    go mod tidy
done

go list -deps -f "{{if not .Standard}}{{.ImportPath}}|{{with .Module}}{{.Path}}|{{.Version}}|$stamp|{{with .Replace}}{{.Path}}|{{.Version}}{{else}}|{{end}}{{end}}|{{join .Imports \" \"}}{{end}}" . >"$out/packages"
go env GOPROXY GOOS GOARCH GOVERSION >"$out/env"
cp go.mod "$out/"
[ ! -f go.sum ] || cp go.sum "$out/"
