# Prints the newest release of the module that the third argument names.
set -eu
mkdir -p "$2/tmp" "$2/module"
cd "$2/module"
go mod init script 2>/dev/null
go list -m -f '{{.Version}}' "$3@latest"
