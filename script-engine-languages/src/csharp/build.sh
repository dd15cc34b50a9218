# Finds .NET, and compiles with it. Arguments: find | check | compile [TYPE] | app
#   find     prints what there is
#   check    compiles against nothing: that there is no `object` is then the first error of a sound source
#   compile  leaves /work/out/script.dll; TYPE is where `Main` is, if the compiler has to be told
#   app      the same by the SDK's own build, for what only that understands
# Ends with 90 if there is no .NET that will do, with 91 if there is none for this script.
set -eu
here=${0%/*}
packages=/packages/lib
shown=/packages/refs
LC_ALL=C; export LC_ALL

refuse() {
    echo "$2" >&2
    exit "$1"
}

# The newest of the versions that are names in a folder.
newest() {
    if [ -d "$1" ]; then
        ls "$1" | grep '^[0-9]' | sort -V | tail -n 1
    fi
}

dotnet=$(command -v dotnet || true)
[ -n "$dotnet" ] || refuse 90 "there is no .NET: no \`dotnet\` in $PATH"
dotnet=$(readlink -f "$dotnet")
root=${dotnet%/*}
runtime=$(newest "$root/shared/Microsoft.NETCore.App")
[ -n "$runtime" ] || refuse 90 "there is no .NET runtime in $root/shared"
frameworks=$root/shared/Microsoft.NETCore.App/$runtime

sdk=$(newest "$root/sdk")
if [ -n "$sdk" ] && [ -f "$root/sdk/$sdk/Roslyn/bincore/csc.dll" ]; then
    compiler=$root/sdk/$sdk/Roslyn/bincore/csc.dll
    version=$sdk
    [ "${sdk%%.*}" -ge 5 ] && form=modern || form=classic
elif [ -f "$root/roslyn/csc.dll" ]; then
    compiler=$root/roslyn/csc.dll
    version=$runtime
    form=classic
else
    refuse 90 "there is a .NET runtime in $root, and no compiler; install the SDK"
fi

# What programs are compiled against: the reference assemblies of that runtime, else its own.
references=$frameworks
packs=$root/packs/Microsoft.NETCore.App.Ref
for pack in $(newest "$packs"); do
    if [ "${pack%%.*}" = "${runtime%%.*}" ]; then
        for folder in "$packs/$pack/ref/"*; do
            references=$folder
        done
    fi
done

if [ "$1" = find ]; then
    printf '%s\n' "$version" "$form" "$dotnet" "$compiler" "$runtime"
    exit 0
fi

source=$here/$form.cs
[ -f "$source" ] || source=$here/modern.cs
options=/work/options.rsp
{
    printf '%s\n' -nologo -utf8output -codepage:65001 -noconfig -nostdlib+ -warn:0 -unsafe+ -deterministic+ \
        '-define:TRACE;RELEASE;NET;NETCOREAPP'
} >"$options"

csc() {
    "$dotnet" exec "$compiler" -noconfig "@$options" "$@"
}

case $1 in
check)
    csc -target:library -out:/work/checked.dll "$source" "$here/probe.cs"
    ;;
compile)
    mkdir -p /work/out
    if [ "$source" = "$here/classic.cs" ]; then
        echo "-main:$2" >>"$options"
    fi
    # What a package has for the compiler goes before what it has for the script.
    for file in "$shown"/*.dll; do
        [ ! -f "$file" ] || echo "-r:\"$file\"" >>"$options"
    done
    for file in "$packages"/*.dll; do
        [ ! -f "$file" ] || [ -f "$shown/${file##*/}" ] || echo "-r:\"$file\"" >>"$options"
    done
    for file in "$references"/*.dll; do
        # A package's own goes before the runtime's.
        [ -f "$packages/${file##*/}" ] || [ -f "$shown/${file##*/}" ] || echo "-r:\"$file\"" >>"$options"
    done
    csc -target:exe -optimize+ -debug:portable -out:/work/out/script.dll "$source"
    ;;
app)
    if [ -z "$sdk" ] || [ "${sdk%%.*}" -lt 10 ]; then
        refuse 91 "\`#:property\` needs the .NET SDK 10 or newer, and here is $version"
    fi
    mkdir -p /work/app /work/out
    cp "$here/app.cs" /work/app/script.cs
    if [ -d "$packages" ]; then
        echo "<Project><ItemGroup><Reference Include=\"$packages/*.dll\" /></ItemGroup></Project>" \
            >/work/app/Directory.Build.props
    fi
    "$dotnet" build /work/app/script.cs --nologo --disable-build-servers -v:quiet -c Release -o /work/out \
        -p:UseAppHost=false -p:PublishAot=false -p:DebugType=portable -p:WarningLevel=0 -p:Nullable=disable
    ;;
esac

if [ -d /work/out ]; then
    properties=
    [ ! -d "$packages" ] || properties=",\"configProperties\":{\"APP_PATHS\":\"$packages\"}"
    echo "{\"runtimeOptions\":{\"framework\":{\"name\":\"Microsoft.NETCore.App\",\"version\":\"$(
        echo "$runtime" | cut -d. -f1,2
    ).0\"}$properties}}" >/work/out/script.runtimeconfig.json
fi
