# What the steps for packages of the system share: the package manager with its settings, and the answer.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$1
own=$work/system
mkdir -p "$own"

# Makes one string of JSON of its input.
json() {
  printf '"'
  tr -d '\000-\010\013-\037\177' | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/\t/\\t/g' | awk '{printf "%s\\n", $0}'
  printf '"'
}

# Leaves the answer, an object of files by name, and ends.
answer() {
  {
    printf '{"manager":"%s","platform":"%s"' "$manager" "$platform"
    while (($# > 1)); do
      printf ',"%s":' "$1"
      json <"$2"
      shift 2
    done
    printf '}'
  } >"$work/answer.json"
  exit 0
}

# Leaves what was said as the reason why there is nothing, and ends.
failed() {
  tail -c 30000 "$1" >"$own/reason"
  {
    printf '{"failed":{"text":'
    json <"$own/reason"
    printf ',"platform":"%s"}}' "${platform:-none}"
  } >"$work/answer.json"
  exit 0
}

failed_as() {
  printf '%s' "$1" >"$own/word"
  failed "$own/word"
}

# The system of the runtime, as it says itself, and its package manager.
of_os_release() {
  # shellcheck disable=SC1091
  . /etc/os-release 2>/dev/null || . /usr/lib/os-release 2>/dev/null || failed_as 'no system'
  case " ${ID:-} ${ID_LIKE:-} " in
    *' alpine '*) manager=apk arch=$(apk --print-arch 2>/dev/null) ;;
    *' debian '* | *' ubuntu '*) manager=apt arch=$(dpkg --print-architecture 2>/dev/null) ;;
    *) failed_as 'no system' ;;
  esac
  [ -n "$arch" ] || failed_as 'no manager'
  codename=${VERSION_CODENAME:-}
  platform=${ID:-}-${VERSION_ID:-$codename}-$arch
  platform=${platform//[^A-Za-z0-9._-]/-}
}

# Gives apt folders of its own. It knows of no installed package but one, which keeps a program for the move of /bin from
# counting as part of every system.
apt_settings() {
  mkdir -p "$own/lists/partial" "$own/cache/archives/partial" "$own/etc" "$own/none"
  if [ -d "$here/etc" ]; then
    cp -r "$here/etc/." "$own/etc"
    # Keys beside the sources are where the sources are.
    find "$own/etc" -type f \( -name '*.list' -o -name '*.sources' \) -exec sed -i "s#/etc/apt/#$own/etc/#g" {} +
  elif [ -s "$here/mirror" ] && [ -n "$codename" ]; then
    printf 'deb %s %s main\n' "$(cat "$here/mirror")" "$codename" >"$own/etc/sources.list"
  elif [ -d /etc/apt ]; then
    cp -r /etc/apt/. "$own/etc"
  else
    failed_as 'no sources'
  fi
  [ -d "$own/etc/trusted.gpg.d" ] || mkdir -p "$own/etc/trusted.gpg.d"
  if [ -s "$here/auth.conf" ]; then cp "$here/auth.conf" "$own/etc/auth.conf"; fi
  printf 'Package: usr-is-merged\nStatus: install ok installed\nArchitecture: all\nVersion: 99\nMaintainer: none\nDescription: none\n\n' >"$own/status"
  cat >"$own/apt.conf" <<END
Dir "$own";
Dir::Etc "$own/etc";
Dir::Etc::main "$own/none/apt.conf";
Dir::Etc::parts "$own/none";
Dir::Etc::trustedparts "$own/etc/trusted.gpg.d";
Dir::State "$own";
Dir::State::lists "$own/lists";
Dir::State::status "$own/status";
Dir::Cache "$own/cache";
Dir::Log "$own";
APT::Sandbox::User "";
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Cmd::Pattern-Only "true";
Acquire::Languages "none";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Acquire::EnableSrvRecords "false";
Acquire::Retries "1";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
END
  if [ -s "$here/proxy" ]; then
    printf 'Acquire::http::Proxy "%s";\nAcquire::https::Proxy "%s";\n' "$(cat "$here/proxy")" "$(cat "$here/proxy")" >>"$own/apt.conf"
  fi
  if [ -s "$here/certificates.pem" ]; then
    cat /etc/ssl/certs/ca-certificates.crt "$here/certificates.pem" >"$own/certificates.pem" 2>/dev/null
    printf 'Acquire::https::CaInfo "%s/certificates.pem";\n' "$own" >>"$own/apt.conf"
  fi
  export APT_CONFIG=$own/apt.conf LC_ALL=C.UTF-8 TMPDIR=$own DEBIAN_FRONTEND=noninteractive
}

# Gives apk a root of its own, with the keys and the repositories of the runtime.
apk_settings() {
  mkdir -p "$own/cache"
  repositories=/etc/apk/repositories
  if [ -d "$here/etc" ]; then repositories=$here/etc/repositories; fi
  [ -s "$repositories" ] || failed_as 'no sources'
  if [ -s "$here/proxy" ]; then
    http_proxy=$(cat "$here/proxy")
    export http_proxy https_proxy=$http_proxy
  fi
  if [ -s "$here/certificates.pem" ]; then
    cat /etc/ssl/certs/ca-certificates.crt "$here/certificates.pem" >"$own/certificates.pem" 2>/dev/null
    export SSL_CERT_FILE=$own/certificates.pem
  fi
  apk=(apk --root "$own/root" --arch "$arch" --keys-dir /etc/apk/keys --repositories-file "$repositories" --cache-dir "$own/cache" --no-interactive --no-progress)
}

of_os_release
"${manager}_settings"
