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
busybox $how -f
