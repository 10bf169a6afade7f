# Becomes a command in a cgroup: sh -c enter.sh enter CGROUP COMMAND...
# $HIERARCHIES are the mount points of the cgroup hierarchies.
set -e
cgroup=$1
shift
for hierarchy in $HIERARCHIES; do
	mkdir -p "$hierarchy/$cgroup"
	echo $$ >"$hierarchy/$cgroup/cgroup.procs"
done
unset HIERARCHIES
exec "$@"
