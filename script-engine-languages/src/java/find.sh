# Finds a JDK: $1 is the least major version, $2 the greatest (empty: any), $3 is `must` if one in between has to be it.
# Leaves its folder in $home and its version in $version. Of those that will do, the one in PATH is taken, else the oldest;
# where none will do and none has to, the one in PATH, else the newest.
least=$1 most=$2 must=$3
shift 3
path=$(command -v javac 2>/dev/null) && path=$(readlink -f "$path") && path=${path%/bin/javac}
home='' version='' good='' other='' known=''
for each in "$path" /opt/java/* /usr/lib/jvm/* /usr/local/openjdk*; do
    [ -x "$each/bin/javac" ] && [ -f "$each/release" ] || continue
    its=''
    while IFS='="' read -r name nothing value rest; do
        [ "$name" = JAVA_VERSION ] && its=$value
    done < "$each/release"
    major=${its%%[!0-9]*}
    [ -n "$major" ] || continue
    case "$known " in *" $its "*) ;; *) known="$known $its" ;; esac
    if [ "$major" -ge "$least" ] && { [ -z "$most" ] || [ "$major" -le "$most" ]; }; then
        if [ -z "$good" ] || { [ "$good" != path ] && [ "$major" -lt "$good" ]; }; then
            home=$each version=$its good=$major
            [ "$each" = "$path" ] && good=path
        fi
    elif [ -z "$good" ] && [ "$must" != must ]; then
        if [ -z "$other" ] || { [ "$other" != path ] && [ "$major" -gt "$other" ]; }; then
            home=$each version=$its other=$major
            [ "$each" = "$path" ] && other=path
        fi
    fi
done
if [ -z "$home" ]; then
    echo "no JDK:$known"
    exit 97
fi
