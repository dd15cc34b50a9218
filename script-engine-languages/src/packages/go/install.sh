# Fetches the modules of a lock, compares them with its go.sum, compiles them and, where no layer has it compiled, the
# standard library, and leaves an archive. Nothing of a module is run: the compiler reads it.
# Arguments: the job's folder, a folder to write to, then the packages of the standard library.
set -eu
scripts=$1 work=$2
shift 2
module=$work/module layer=$work/layer
mkdir -p "$module" "$work/tmp" "$layer/gomod" "$layer/gocache"
cp "$scripts/module/"* "$module/"
chmod u+w "$module/"*
cd "$module"
[ ! -d /packages/gocache ] || cp -R /packages/gocache "$layer/"

# All is fetched and compared before anything is compiled. The index of packages that the Go command makes names folders,
# which are elsewhere later; that of the standard library stays true.
GODEBUG=goindex=0 go list -deps . >/dev/null
go build -trimpath "$@"
GODEBUG=goindex=0 go build -trimpath .

# Packed modules are in there unpacked as well. Locks of a build that has ended, and the time of the last tidying-up,
# which each build decides anew.
[ ! -d "$layer/gomod/cache" ] || find "$layer/gomod/cache" -name '*.zip' -exec rm -f {} +
find "$layer" \( -name '*.lock' -o -name lock -o -name trim.txt -o -name testexpire.txt \) -exec rm -f {} +
[ ! -d "$layer/gomod/cache/download/sumdb" ] || rm -rf "$layer/gomod/cache/download/sumdb"
# Entries end with the time at which they were made.
find "$layer/gocache" -type f -name '*-a' -exec sed -i -E 's/ +[0-9]+$/                    0/' {} +
chmod -R u+w "$layer"
find "$layer" -exec touch -h -t 197001010000 {} +
cd "$layer"
find . -mindepth 1 | LC_ALL=C sort >"$work/names"
tar -c --no-recursion -f "$work/layer.tar" -T "$work/names"
