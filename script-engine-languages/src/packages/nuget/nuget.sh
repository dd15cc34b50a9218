# Compiles the driver as C# scripts are compiled, and starts it.
# Arguments: the job's folder, what to do, and what more the driver is to know.
set -eu
scripts=$1 what=$2
shift 2
cat "$scripts/settings" >/work/settings
if ! grep -q '^url=.' /work/settings; then
    # The feed that an SDK has by default.
    url=$(dotnet nuget list source --format short 2>/dev/null | sed -n 's/^E[A-Z]* //p' | head -n 1) || url=
    echo "url=$url" >>/work/settings
fi
sh "$scripts/.build/build.sh" compile NuGet >&2
exec dotnet exec /work/out/script.dll "$what" "$scripts" /work "$@"
