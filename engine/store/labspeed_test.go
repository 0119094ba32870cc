//go:build lab && bench

package store

import (
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"testing"
	"time"

	"horcrux/engine/model"
)

// The image of the goal: 6 GiB with 1.5 GiB in it, in six runs.
const (
	speedMiB = 6144
	speedRun = 256
	gigabit  = 125_000_000 // bytes a second
)

func pairs() int {
	if n, err := strconv.Atoi(os.Getenv("PAIRS")); err == nil && n > 0 {
		return n
	}
	return 3
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// cold writes what is dirty and empties the caches, so that every run begins alike.
func (b *bench) cold(t testing.TB) {
	t.Helper()
	for _, n := range []string{"node1", "node2"} {
		b.sh(t, b.Node(n), `sync; for f in "$1"/*; do [ -f "$f" ] && dd if="$f" iflag=nocache count=0 status=none; done; true`, imagesDir)
	}
}

// copyTime is the wall time of a whole copy: opening, copying, verifying and
// publishing.
func (b *bench) copyTime(t testing.TB, way model.DataPath, names ...string) time.Duration {
	t.Helper()
	b.empty(t, names...)
	b.cold(t)
	began := time.Now()
	c := b.open(t, Plan{Job: "speed", Files: same(names...), Path: way, Dir: t.TempDir()})
	defer c.Close()
	if err := c.Run(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	return time.Since(began)
}

func (b *bench) empty(t testing.TB, names ...string) {
	t.Helper()
	for _, n := range names {
		b.sh(t, b.to, `rm -f -- "$1"`, n)
	}
}

// otherTime is the wall time of a command on the source that makes the same
// file on the target, and of writing it to the disk there, as ours is.
func (b *bench) otherTime(t testing.TB, script string, name string) time.Duration {
	t.Helper()
	b.empty(t, name)
	b.cold(t)
	began := time.Now()
	b.sh(t, b.from, script, name, b.to.Address)
	b.sh(t, b.to, `sync -- "$1"`, name)
	return time.Since(began)
}

// trust lets node1 log in on node2, as an admin's rsync would.
func (b *bench) trust(t testing.TB) {
	t.Helper()
	key := b.sh(t, b.from, `[ -f /root/.ssh/id_bench ] || { mkdir -p /root/.ssh; ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_bench; }; cat /root/.ssh/id_bench.pub`)
	b.sh(t, b.to, `f=$(sshd -T 2>/dev/null | awk '$1=="authorizedkeysfile"{print $2; exit}'); case $f in /*) ;; *) f=/root/$f;; esac; grep -qF "$1" "$f" 2>/dev/null || { mkdir -p "$(dirname "$f")"; echo "$1" >>"$f"; }`, key)
	b.sh(t, b.from, `ssh-keyscan "$1" 2>/dev/null >/root/.ssh/known_hosts; ssh -i /root/.ssh/id_bench "root@$1" true`, b.to.Address)
}

const sshBench = `ssh -i /root/.ssh/id_bench -c aes128-gcm@openssh.com`

// TestLabSpeed measures a cold copy against rsync, against a byte pipe on a
// link of 1 Gbit/s, and two disks against one. It prints the table of
// docs/performance.md. `make bench-copy` runs it.
func TestLabSpeed(t *testing.T) {
	b := openLab(t)
	b.trust(t)
	one := b.sparse(t, "one.img", speedMiB, 6, speedRun)
	data := 6 * speedRun << 20
	var direct, relay, rsync []time.Duration
	for range pairs() {
		rsync = append(rsync, b.otherTime(t, `rsync -avz -e "`+sshBench+`" -- "$1" "root@$2:$1" >/dev/null`, one))
		direct = append(direct, b.copyTime(t, model.PathDirect, one))
		relay = append(relay, b.copyTime(t, model.PathRelay, one))
		t.Logf("rsync %v, direct %v, relay %v", rsync, direct, relay)
	}
	b.equal(t, one)

	var limited, pipe []time.Duration
	if err := b.to.LimitRate(gigabit); err != nil {
		t.Fatal(err)
	}
	defer b.to.UnlimitRate()
	for range pairs() {
		limited = append(limited, b.copyTime(t, model.PathDirect, one))
		pipe = append(pipe, b.pipeTime(t, data))
		t.Logf("1 Gbit/s: copy %v, pipe %v", limited, pipe)
	}
	if err := b.to.UnlimitRate(); err != nil {
		t.Fatal(err)
	}

	b.sh(t, b.from, `rm -f "$1"`, one)
	b.empty(t, one)
	half1, half2 := b.sparse(t, "half1.img", speedMiB/2, 3, speedRun), b.sparse(t, "half2.img", speedMiB/2, 3, speedRun)
	one = b.sparse(t, "one.img", speedMiB, 6, speedRun)
	var single, double []time.Duration
	for range pairs() {
		single = append(single, b.copyTime(t, model.PathDirect, one))
		b.empty(t, one)
		double = append(double, b.copyTime(t, model.PathDirect, half1, half2))
		b.empty(t, half1, half2)
		t.Logf("one disk %v, two disks %v", single, double)
	}

	rate := func(d time.Duration) string { return fmt.Sprintf("%.0f MB/s", float64(data)/1e6/d.Seconds()) }
	fmt.Printf("| what (median of %d) | time | allocated bytes |\n| --- | --- | --- |\n", pairs())
	for _, r := range []struct {
		what string
		d    time.Duration
	}{
		{"`rsync -avz`, host to host over SSH", median(rsync)},
		{"cold copy, direct, hashed on both nodes and read again from the disk", median(direct)},
		{"cold copy, relay through the console", median(relay)},
		{"a plain byte pipe of the allocated bytes on 1 Gbit/s", median(pipe)},
		{"cold copy, direct, on 1 Gbit/s", median(limited)},
		{"cold copy, direct, one disk", median(single)},
		{"cold copy, direct, two disks of half the size", median(double)},
	} {
		fmt.Printf("| %s | %.1f s | %s |\n", r.what, r.d.Seconds(), rate(r.d))
	}
	fmt.Printf("rsync / cold copy: %.1f; pipe / cold copy on 1 Gbit/s: %.2f; two disks / one: %.2f\n",
		median(rsync).Seconds()/median(direct).Seconds(), median(pipe).Seconds()/median(limited).Seconds(), median(double).Seconds()/median(single).Seconds())
}

// pipeTime sends the bytes of an image's size over one TCP connection between
// the hosts and nothing else: no disk, no hash.
func (b *bench) pipeTime(t testing.TB, bytes int) time.Duration {
	t.Helper()
	const port = "49300"
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := b.to.Exec(ctx, "perl", "-MIO::Socket::INET", "-e",
			`$l=IO::Socket::INET->new(Listen=>1,LocalPort=>$ARGV[0],ReuseAddr=>1) or die; $c=$l->accept; while(sysread($c,$b,1<<20)){}; print $c "k"`, port)
		done <- err
	}()
	b.sh(t, b.to, `until grep -qi ":C094 00000000:0000 0A" /proc/net/tcp; do sleep 0.02; done`)
	began := time.Now()
	b.sh(t, b.from, `perl -MIO::Socket::INET -e '$c=IO::Socket::INET->new("$ARGV[0]:$ARGV[1]") or die; $b="x"x(1<<20); for(1..$ARGV[2]/(1<<20)){$o=0; while($o<length $b){$n=syswrite($c,$b,length($b)-$o,$o) or die; $o+=$n}} shutdown($c,1); sysread($c,$x,1)' "$1" "$2" "$3"`,
		b.to.Address, port, fmt.Sprint(bytes))
	d := time.Since(began)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return d
}

// TestLabDirectTime is one copy, for looking at what it spends its time on.
func TestLabDirectTime(t *testing.T) {
	b := openLab(t)
	one := b.sparse(t, path.Base("one.img"), speedMiB, 6, speedRun)
	for range pairs() {
		t.Log(b.copyTime(t, model.PathDirect, one))
	}
}
