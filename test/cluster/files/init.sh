# Pid 1 of a node, in new namespaces: bash -c init.sh init NODE DIR
# DIR becomes the node's own /var/lib, /var/log, /run.
set -e
node=$1 dir=$2
hostname "$node"
mount --make-rshared / # as systemd has it; kubelet's volumes need it
# An inherited mount of cgroups shows with a root of "/..", which confuses runc
# and cAdvisor; one made here is rooted at the node's cgroup.
hierarchies=$(awk '$3 == "cgroup" {print $2}' /proc/mounts)
unified=$(awk '$3 == "cgroup2" && $2 == "/sys/fs/cgroup"' /proc/mounts)
umount -R /sys
mount -t sysfs sysfs /sys
if [ -n "$unified" ]; then
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	hierarchies=
else
	mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
fi
for hierarchy in $hierarchies; do
	name=${hierarchy##*/}
	mkdir -p "$hierarchy"
	case $name in
	systemd) mount -t cgroup -o none,name=systemd cgroup "$hierarchy" ;;
	*) mount -t cgroup -o "$name" cgroup "$hierarchy" ;;
	esac
	for part in ${name//,/ }; do # cpu,cpuacct is also known as cpu and as cpuacct
		[ -e "/sys/fs/cgroup/$part" ] || ln -s "$name" "/sys/fs/cgroup/$part"
	done
done
# The machine's other file systems would show in container_fs_*.
awk '$2 ~ "^/(mnt|media)/" {print $2}' /proc/mounts | sort -r | xargs -r umount
for own in var/lib var/log run; do
	mount --bind "$dir/$own" "/$own"
done
# kubelet sets these, or ends. It finds them set, in files: the machine's stay.
while read -r key value; do
	echo "$value" >"$dir/sysctl/$key"
	mount --bind "$dir/sysctl/$key" "/proc/sys/${key//./\/}"
done <<-END
	vm.overcommit_memory 1
	vm.panic_on_oom 0
	kernel.panic 10
	kernel.panic_on_oops 1
	kernel.keys.root_maxkeys 1000000
	kernel.keys.root_maxbytes 25000000
END
echo 1 >/proc/sys/net/ipv4/ip_forward # this network namespace's
ip link set lo up
touch "$dir/ready"
while :; do sleep 3600; done # bash reaps every orphan while it waits
