# Compiles a script to a jar: $1 is the class path of its packages, $2 the folder of its classes in a jar, the rest are the
# arguments of javac. Tells the JDK, so that what was compiled by one is run by it; then `shared` if that maps the archive of
# the packages' classes. It does so for a class path that begins with them: a script with a class of a folder that they have
# too, which has to come before theirs, gets on without.
packages=$1 folder=$2
shift 2
echo "$home"
mkdir /work/classes && "$home/bin/javac" "$@" && "$home/bin/jar" -J-XX:TieredStopAtLevel=1 -J-XX:+UseSerialGC --create \
    --no-compress --file /work/script.jar -C /work/classes . || exit
[ -f /packages/classes.jsa ] || exit 0
while IFS= read -r its; do
    [ "$its" = "$folder" ] && exit 0
done < /packages/folders
"$home/bin/java" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:on -XX:SharedArchiveFile=/packages/classes.jsa \
    -cp "$packages" -version > /dev/null 2>&1 && echo shared
exit 0
