#!/bin/sh
# Makes a root, a server's and a client's certificate with openssl.
#
#   make.sh modern|classic FOLDER [NAMES.CNF]
#
# modern   X.509 v3 with the host names in the certificate (SAN): for everything new
# classic  as the short recipes do it, without extensions: X.509 v1 (v3 without names from newer
#          openssl), which some wallboxes and backends were set up with
#
# What is in FOLDER already stays: to make one certificate anew, delete it; the root is kept.
# KEY=ec makes EC P-256 keys instead of RSA; old wallboxes want RSA. DAYS=825 is how long server
# and client hold; the root holds ten years.
set -eu
umask 077

usage() {
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

[ $# -ge 2 ] || usage
way=$1 folder=$2 names=${3:-$(dirname "$0")/names.cnf}
days=${DAYS:-825}
case $way in classic | modern) ;; *) usage ;; esac

fail() {
    printf '%s\n' "make.sh: $*" >&2
    exit 1
}

case ${KEY:-rsa} in
    [Ee][Cc]) algorithm=EC option=ec_paramgen_curve:P-256 ;;
    [Rr][Ss][Aa]) algorithm=RSA option=rsa_keygen_bits:2048 ;;
    *) fail "KEY=$KEY is unknown: write KEY=ec or KEY=rsa" ;;
esac
[ -r "$names" ] || fail "$names cannot be read: name a file like names.cnf"
if command -v iconv >/dev/null && ! iconv -f UTF-8 -t UTF-8 "$names" >/dev/null 2>&1; then
    fail "$names is not UTF-8: save it as UTF-8, or: iconv -f LATIN1 -t UTF-8 $names > new.cnf"
fi
mkdir -p "$folder"

# openssl's own words say neither which file nor what to do.
refused() {
    fail "openssl refuses the names of the $1 in $names: the file must be UTF-8, C two letters," \
        "CN and O at most 64 characters, L and ST at most 128"
}

key() {
    [ -e "$folder/$1.key" ] && return
    file=$folder/$1.key
    set -- -algorithm "$algorithm" -pkeyopt "$option"
    openssl genpkey -quiet "$@" -out "$file" 2>/dev/null || openssl genpkey "$@" -out "$file"
}

# Signs itself.
root() {
    [ -e "$folder/root.crt" ] && return
    set -- -x509 -new -key "$folder/root.key" -sha256 -days 3650 -utf8 -config "$names"
    [ "$way" = classic ] || set -- "$@" -extensions v3_root
    WHO=root openssl req "$@" -out "$folder/root.crt" || refused root
}

# Signed by the root.
leaf() {
    [ -e "$folder/$1.crt" ] && return
    WHO=$1 openssl req -new -key "$folder/$1.key" -utf8 -config "$names" -out "$folder/$1.csr" ||
        refused "$1"
    who=$1
    set -- -req -in "$folder/$who.csr" -CA "$folder/root.crt" -CAkey "$folder/root.key" \
        -CAcreateserial -days "$days" -sha256
    [ "$way" = classic ] || set -- "$@" -extfile "$names" -extensions "v3_$who"
    WHO=$who openssl x509 "$@" -out "$folder/$who.crt"
}

key root
root
for who in server client; do
    key $who
    leaf $who
done
# Certificates are for everybody, keys are not.
chmod a+r "$folder"/*.crt
echo "made in $folder: root.crt, server.crt, client.crt and their keys; look at them with"
echo "  chargewarden cert show $folder/server.crt $folder/server.key $folder/root.crt"
