package survey

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"horcrux/engine/fleet"
	"horcrux/engine/plan"
	"horcrux/engine/virt"
)

// deviceScript describes block devices, a line each: "device", the size in
// bytes, how many partitions and devices lie on it, and hashes of the pieces of
// 64 KiB of the first and the last MiB, as they are on the medium. Anything else
// gets another line. Its data are its arguments.
const deviceScript = `for p; do
  test -b "$p" || { echo none; continue; }
  s=$(blockdev --getsize64 "$p") && [ "$s" -ge 2097152 ] && [ $((s % 4096)) = 0 ] || { echo unread; continue; }
  d=/sys/dev/block/$((0x$(stat -L -c %t -- "$p"))):$((0x$(stat -L -c %T -- "$p")))
  test -d "$d" || { echo unread; continue; }
  n=$(ls -d "$d"/holders/* "$d"/*/partition 2>/dev/null | wc -l)
  h=
  for at in 0 $((s / 4096 - 256)); do
    for i in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
      x=$(dd if="$p" bs=4096 count=16 skip=$((at + i * 16)) iflag=direct 2>/dev/null | sha256sum)
      h="$h ${x%% *}"
    done
  done
  echo "device $s $n$h"
done`

const (
	// pieces are hashed of each device.
	pieces = 32
	// zeros is the hash of a piece of zeros.
	zeros = "de2f256064a0af797747c2b97505dc0b9f3df0de4f489eac731c23ae9ca9cc31"
)

// device is a block device as it was seen.
type device struct {
	exists, read bool
	size         uint64   // bytes
	users        int      // partitions and devices on it
	ends         []string // hashes
}

// blank tells that nothing is on it that anybody could miss: what lies on a
// device, a file system, LVM, LUKS, RAID or a partition table, says so in its
// first or last MiB.
func (d device) blank() bool {
	return d.read && d.users == 0 && !slices.ContainsFunc(d.ends, func(h string) bool { return h != zeros })
}

var deviceLine = regexp.MustCompile(`^device ([0-9]{1,19}) ([0-9]{1,6})((?: [0-9a-f]{64})+)$`)

// readDevices reads what deviceScript said of each path; what is missing was not
// read.
func readDevices(paths []string, text string) map[string]device {
	out := map[string]device{}
	lines := strings.Split(text, "\n")
	for i, p := range paths {
		if i >= len(lines) || lines[i] == "" {
			break
		}
		m := deviceLine.FindStringSubmatch(lines[i])
		switch {
		case lines[i] == "none":
			out[p] = device{}
		case m == nil || len(strings.Fields(m[3])) != pieces:
			out[p] = device{exists: true}
		default:
			size, err := strconv.ParseUint(m[1], 10, 64)
			users, err2 := strconv.Atoi(m[2])
			out[p] = device{exists: true, read: err == nil && err2 == nil, size: size, users: users, ends: strings.Fields(m[3])}
		}
	}
	return out
}

// devicesOf are the paths of block devices that a VM writes to.
func devicesOf(d plan.Domain) (paths []string) {
	for _, disk := range d.Disks {
		if disk.Type == "block" && !disk.ReadOnly && path.IsAbs(disk.Source) && !strings.ContainsAny(disk.Source, "\x00\n") {
			paths = append(paths, disk.Source)
		}
	}
	return paths
}

func lookDevices(ctx context.Context, n *fleet.Node, paths []string) (map[string]device, error) {
	res, err := n.Exec(ctx, append([]string{"sh", "-c", deviceScript, "sh"}, paths...), nil)
	if err != nil {
		return nil, fmt.Errorf("%s was not asked: %w", n.Name(), err)
	}
	return readDevices(paths, string(res.Stdout)), nil
}

// proveDevices finds out which of the VM's devices the target has as other ones
// of its own, and what is on them. The source is read before and after: what it
// had both times and the target has not is on another device.
//
// That two nodes see the same device cannot be shown without writing to it, so
// it never is.
func proveDevices(ctx context.Context, src, dst *fleet.Node, vm plan.Domain, proofs plan.SharedProof, h *plan.HostFacts) {
	paths := devicesOf(vm)
	if len(paths) == 0 {
		return
	}
	var looks [3]map[string]device
	for i, n := range []*fleet.Node{src, dst, src} {
		var err error
		if looks[i], err = lookDevices(ctx, n, paths); err != nil {
			for _, d := range vm.Disks {
				if d.Type == "block" {
					proofs[d.Target] = plan.Proof{Detail: virt.Clean(err.Error())}
				}
			}
			return
		}
	}
	users := usersOf(ctx, dst, vm, paths)
	for _, d := range vm.Disks {
		there, known := looks[1][d.Source]
		if d.Type != "block" || d.ReadOnly || !known {
			continue
		}
		proofs[d.Target] = sameDevice(looks[0][d.Source], there, looks[2][d.Source], string(src.Name()), string(dst.Name()))
		user, asked := users[d.Source]
		h.Volumes[d.Source] = plan.VolumeFact{
			Exists: there.exists, Capacity: there.size, Format: "raw",
			Blank: there.blank() && asked && user == "", User: user,
		}
	}
}

// sameDevice judges the source's device before and after, and the target's.
func sameDevice(before, there, after device, src, dst string) plan.Proof {
	switch {
	case !there.exists:
		return plan.Proof{Separate: true, Detail: dst + " has no such device"}
	case !before.read || !after.read:
		return plan.Proof{Detail: fmt.Sprintf("%s cannot read both ends of it", src)}
	case !there.read:
		return plan.Proof{Detail: fmt.Sprintf("%s cannot read both ends of it", dst)}
	case before.size != there.size:
		return plan.Proof{Detail: fmt.Sprintf("it has %d bytes on %s and %d on %s", before.size, src, there.size, dst)}
	case other(before.ends, there.ends, after.ends):
		return plan.Proof{Separate: true, Detail: fmt.Sprintf("%s and %s read different bytes there", src, dst)}
	}
	return plan.Proof{Detail: fmt.Sprintf("%s and %s read the same bytes at both ends of it, which copies would have too", src, dst)}
}

// other tells that what the target read cannot be what the source has: a piece
// that the source had before and after, and the target has not; or one that is
// empty there and was not on the source either time. A guest writes to the ends
// of its disk all the time, but none empties a piece and fills it again between
// two looks.
func other(before, there, after []string) bool {
	for i := range pieces {
		switch {
		case before[i] == there[i] || after[i] == there[i]:
		case before[i] == after[i], there[i] == zeros:
			return true
		}
	}
	return false
}

// usersOf names for each path a VM of the node that has it, other than this one;
// a path of which that is not known is left out.
func usersOf(ctx context.Context, n *fleet.Node, vm plan.Domain, paths []string) map[string]string {
	c, err := n.Act(ctx)
	if err != nil {
		return nil
	}
	refs, err := c.Domains(ctx)
	if err != nil {
		return nil
	}
	users := map[string]string{}
	for _, p := range paths {
		users[p] = ""
	}
	for _, r := range refs {
		if r.UUID == vm.UUID {
			continue // the rules for names and UUIDs judge that one
		}
		for _, inactive := range []bool{false, true} {
			text, err := c.XML(ctx, r.UUID, virt.XMLOptions{Inactive: inactive})
			if err != nil {
				if inactive { // a transient one has no other definition
					continue
				}
				return nil
			}
			dom, err := virt.ParseDomain(text)
			if err != nil || c.Locate(ctx, &dom) != nil {
				return nil
			}
			for _, d := range dom.Disks {
				if _, ours := users[d.Source]; ours {
					users[d.Source] = r.Name
				}
			}
		}
	}
	return users
}
