#!/bin/busybox sh
# Process 1 of a lab guest. It is told what to do on the kernel's command line.
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev
/bin/busybox --install -s /bin
export PATH=/sbin:/bin

agent=0 http=0 ip= dirty=0 rate=0 write=0 ledger=0 name=guest
for word in $(cat /proc/cmdline); do
	case $word in
	lab.agent=*) agent=${word#*=} ;;
	lab.http=*) http=${word#*=} ;;
	lab.ip=*) ip=${word#*=} ;;
	lab.dirty=*) dirty=${word#*=} ;;
	lab.rate=*) rate=${word#*=} ;;
	lab.write=*) write=${word#*=} ;;
	lab.ledger=*) ledger=${word#*=} ;;
	lab.name=*) name=${word#*=} ;;
	esac
done
hostname "$name"
while read -r module; do
	insmod "/modules/$module.ko" 2>/dev/null
done </modules/order
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs tmpfs /run
mount -t tmpfs -o size=95% tmpfs /ram
# A pause without a process of its own: on a host without KVM each one costs the
# lab more than all else that an idle guest does.
mkfifo /run/never
exec 9<>/run/never
pause() { read -r -t "$1" _ <&9; }
ifconfig lo 127.0.0.1 up
[ -n "$ip" ] && ip addr add "$ip" dev eth0 && ip link set eth0 up
# After a crash the maps of a file system without a journal are behind what was
# synced: mounted as it is, it would give blocks in use away once more.
e2fsck -p /dev/vda || e2fsck -y /dev/vda
mount -t ext4 -o noatime,sync /dev/vda /data || echo "lab: no data disk"
boot=$(cat /proc/sys/kernel/random/boot_id)

# Every fourth beat one block of the ledger is written: 16 KiB of its own number
# over and over, at its place in a ring of 64. It is on the disk before the beat
# that tells of it, so whoever knows the last beat knows the whole file.
ledger_block() {
	yes "$1" | head -c 16384 | dd of=/data/ledger bs=16384 count=1 seek=$(($1 % 64)) conv=notrunc iflag=fullblock 2>/dev/null
	sync /data/ledger
}

# A line a beat: counter, uptime, boot id. Each is on the disk before the next
# begins, by the mount option: as after fsync, without a process for it. The
# counter goes on after a reboot, the boot id tells of it.
heartbeat() {
	n=$(tail -n 1 /data/heartbeat 2>/dev/null | cut -d ' ' -f 1)
	case $n in '' | *[!0-9]*) n=0 ;; esac
	while :; do
		n=$((n + 1))
		read -r up _ </proc/uptime
		line="$n $up $boot"
		[ "$ledger" = 1 ] && [ $((n % 4)) = 0 ] && ledger_block $((n / 4))
		if echo "$line" >>/data/heartbeat; then
			# A guest with a ledger may be killed and started again: without a
			# journal the file system's own maps must then be on the disk as well.
			[ "$ledger" = 1 ] && sync
			echo "$line" >/www/beat
		fi
		pause 0.18
	done
}

# Hundredths of a second since boot.
now() {
	read -r t _ </proc/uptime
	s=${t%.*} c=${t#*.}
	echo $((s * 100 + 1$c - 100))
}

# pace CHUNKS RATE COMMAND...: runs COMMAND once for each MiB that RATE MiB/s
# has made due, with the number of the MiB, counted round CHUNKS.
pace() {
	chunks=$1 speed=$2
	shift 2
	start=$(now) done=0
	while :; do
		due=$(((($(now) - start) * speed) / 100))
		if [ $((due - done)) -gt "$speed" ]; then # was stopped or too slow: do not catch up
			start=$(($(now) - done * 100 / speed)) due=$((done + 1))
		fi
		while [ "$done" -lt "$due" ]; do
			"$@" $((done % chunks))
			done=$((done + 1))
		done
		pause 0.04
	done
}
dirty_one() { dd if=/ram/seed of=/ram/load bs=1M count=1 seek="$1" conv=notrunc 2>/dev/null; }
write_one() { dd if=/ram/seed of=/data/load bs=1M count=1 seek="$1" conv=notrunc 2>/dev/null && sync /data/load; }

grep -q ' /data ' /proc/mounts && heartbeat &
if [ "$http" = 1 ]; then
	echo ok >/www/health
	httpd -h /www -p 80
fi
acpid -c /etc/acpi -l /dev/null
if [ "$agent" = 1 ]; then
	mkdir -p /dev/virtio-ports
	for port in /sys/class/virtio-ports/*; do
		ln -s "/dev/${port##*/}" "/dev/virtio-ports/$(cat "$port/name")"
	done
	while :; do
		qemu-ga -m virtio-serial -p /dev/virtio-ports/org.qemu.guest_agent.0 -t /run -f /run/ga.pid
		sleep 1
	done 2>/dev/null &
fi
# Pages of zeros would travel as nothing: the load is random data, made once.
if [ "$dirty" -gt 0 ] || [ "$write" -gt 0 ]; then
	dd if=/dev/urandom of=/ram/seed bs=1M count=1 2>/dev/null
fi
if [ "$dirty" -gt 0 ]; then
	i=0
	while [ $i -lt "$dirty" ]; do dirty_one $i; i=$((i + 1)); done
	[ "$rate" -gt 0 ] && pace "$dirty" "$rate" dirty_one &
fi
[ "$write" -gt 0 ] && pace 8 "$write" write_one &
echo "lab: guest $name is up"
setsid cttyhack sh </dev/console >/dev/console 2>&1 &
while :; do
	wait
	sleep 60
done
