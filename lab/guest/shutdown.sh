#!/bin/sh
# Serves qemu-ga (shutdown -h|-P|-H|-r ...) and the power button.
how=poweroff
for arg in "$@"; do
	[ "$arg" = -r ] && how=reboot
done
echo "lab: $how"
# The heartbeat and the load hold the disk; process 1 is not in the list.
for pid in $(ps -o pid,comm | while read -r p c; do [ "$c" = init ] && [ "$p" != 1 ] && echo "$p"; done); do
	kill -9 "$pid" 2>/dev/null
done
sync
umount /data || mount -o remount,ro /data
# A packet still on its way when the kernel breaks off its virtio devices makes
# it spin there for ever, about once in some hundred times (Linux before the fix
# of virtnet_poll_cleantx): no network, nothing on its way.
ip link set eth0 down 2>/dev/null
busybox $how -f
