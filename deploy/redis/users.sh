#!/bin/sh
# Prints the ACL of Redis: one user who may do what Spike does, and no default user. With REDIS_ADMIN_PASSWORD another one, admin, who
# may do everything: changing keys and looking for slow commands take one. For `aclfile`; runs in any POSIX shell.
#   REDIS_USER=spike REDIS_PASSWORD=... [REDIS_ADMIN_PASSWORD=...] sh deploy/redis/users.sh > users.acl
# A test sells, pays and restocks with exactly this user (e2e/least_privilege.rs).
set -eu
: "${REDIS_USER:?}" "${REDIS_PASSWORD:?}"

hash_of() { printf %s "$1" | sha256sum | cut -d ' ' -f 1; }

hash=$(hash_of "$REDIS_PASSWORD")
echo "user default off"
if [ -n "${REDIS_ADMIN_PASSWORD:-}" ]; then
    echo "user admin on #$(hash_of "$REDIS_ADMIN_PASSWORD") ~* &* +@all"
fi
# The library's CLIENT SETINFO is refused, which it does not mind: Redis 7.0 does not know that word in an ACL.
# Ledgers, caches, locks and hints, all below spike:; and what a cluster and waiting for copies take. Nothing that lists keys, reads other data or changes the server.
echo "user $REDIS_USER on #$hash resetchannels &spike:* resetkeys ~spike:* -@all" \
    "+auth +hello +select +ping +client|setname +info +time" \
    "+script|load +script|exists +script|flush +evalsha +eval" \
    "+get +set +mget +mset +del +incrby +decrby +exists +pexpire" \
    "+hget +hmget +hset +hdel +hincrby +hscan +hlen +sadd +srem +smembers" \
    "+xadd +xack +xdel +xlen +xrange +xpending +xreadgroup +xautoclaim +xgroup|create +xgroup|destroy +xgroup|delconsumer" \
    "+publish +subscribe +unsubscribe +multi +exec +discard" \
    "+cluster|slots +asking +wait"
