# The first process of a local cluster's machine: furnishes its room, then keeps it open.
# Runs in the state folder, in new network, mount and process namespaces; $1 holds the binaries.
# Paths are relative, since what is mounted here may hide the folder itself.
set -e
binaries=$1
mount -t tmpfs -o mode=755 tmpfs run
mkdir -p run/bin run/netns run/lock run/sysctl
mount --bind "$binaries" run/bin

# The kubelet tunes the kernel; it gets copies of the settings, as the kernel is the host's.
for setting in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops \
    kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
  copy=run/sysctl/$(echo "$setting" | tr / .)
  cat "/proc/sys/$setting" >"$copy"
  mount --bind "$copy" "/proc/sys/$setting"
done

mount --no-mtab --no-canonicalize --bind log /var/log
mount --no-mtab --no-canonicalize --move run /run
mount --no-mtab --no-canonicalize --bind lib /var/lib

ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
: >furnished
exec /run/bin/pause
