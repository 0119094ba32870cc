package store

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"horcrux/engine/virt"
)

// Kind is what a path leads to.
type Kind string

// Kinds that matter; everything else is KindOther.
const (
	KindFile  Kind = "file"
	KindDir   Kind = "folder"
	KindBlock Kind = "block device"
	KindOther Kind = "something else"
)

// Stat is what a node says of a file, links followed.
type Stat struct {
	Kind      Kind   `json:"kind"`
	Size      int64  `json:"size"`      // bytes; 0 for a block device
	Allocated int64  `json:"allocated"` // bytes on the disk
	Inode     uint64 `json:"inode"`
	Modified  string `json:"mtime"` // seconds since 1970 with nanoseconds, as the node prints them
	Changed   string `json:"ctime"`
	Mode      string `json:"mode"` // octal, four digits at most
	User      string `json:"user"` // "UNKNOWN" where the node has no name
	Group     string `json:"group"`
	UID       uint32 `json:"uid"`
	GID       uint32 `json:"gid"`
	Label     string `json:"label,omitempty"` // SELinux, empty where there is none
}

// same tells whether a file has the content it had: whoever writes to it
// changes its times, whoever replaces it its number.
func (s Stat) same(o Stat) bool {
	return s.Kind == o.Kind && s.Size == o.Size && s.Inode == o.Inode && s.Modified == o.Modified && s.Changed == o.Changed
}

// ErrNotThere says that a path does not exist on the node.
var ErrNotThere = errors.New("no such file")

// statScript tells a missing file from one that cannot be looked at. The label
// is asked for by itself: stat fails where there are none.
const statScript = `if [ ! -e "$1" ]; then
d=$(dirname -- "$1")
[ -e "$d" ] && [ ! -x "$d" ] && { echo "no access to $d" >&2; exit 1; }
[ -L "$1" ] && { echo "a link that leads nowhere" >&2; exit 1; }
exit 44
fi
stat -L -c '%f %s %b %B %i %.9Y %.9Z %a %u %g %U %G' -- "$1" || exit 1
stat -L -c '%C' -- "$1" 2>/dev/null
exit 0`

// Look gives the facts of a file, ErrNotThere if there is none.
func Look(ctx context.Context, n Node, name string) (Stat, error) {
	if err := checkPath(name); err != nil {
		return Stat{}, err
	}
	what := "look at " + name
	out, err := run(ctx, n, what, nil, "sh", "-c", statScript, "horcrux-copy", name)
	if err != nil {
		var failed *runError
		if errors.As(err, &failed) && failed.code == 44 {
			return Stat{}, fmt.Errorf("cannot %s on %s: %w", what, n.Name(), ErrNotThere)
		}
		return Stat{}, err
	}
	s, err := parseStat(out)
	if err != nil {
		return Stat{}, fmt.Errorf("cannot %s on %s: %w", what, n.Name(), err)
	}
	return s, nil
}

func parseStat(out string) (Stat, error) {
	line, label, _ := strings.Cut(strings.TrimSpace(out), "\n")
	f := strings.Fields(line)
	if len(f) != 12 {
		return Stat{}, fmt.Errorf("its stat says %q", virt.Clean(out))
	}
	mode, err := strconv.ParseUint(f[0], 16, 32)
	var n [6]int64
	for i, text := range []string{f[1], f[2], f[3], f[4], f[8], f[9]} {
		var e error
		if n[i], e = strconv.ParseInt(text, 10, 64); e != nil || n[i] < 0 {
			err = errors.New("a number is not one")
		}
	}
	if err != nil || !timeText(f[5]) || !timeText(f[6]) || strings.Trim(f[7], "01234567") != "" {
		return Stat{}, fmt.Errorf("its stat says %q", virt.Clean(out))
	}
	s := Stat{
		Kind: KindOther, Size: n[0], Allocated: n[1] * n[2], Inode: uint64(n[3]), Modified: f[5], Changed: f[6],
		Mode: f[7], UID: uint32(n[4]), GID: uint32(n[5]), User: virt.Clean(f[10]), Group: virt.Clean(f[11]),
	}
	switch mode & 0o170000 {
	case 0o100000:
		s.Kind = KindFile
	case 0o040000:
		s.Kind = KindDir
	case 0o060000:
		s.Kind = KindBlock
	}
	if label = virt.Clean(label); label != "?" {
		s.Label = label
	}
	return s, nil
}

// timeText tells whether this looks like 1795619758.728357013.
func timeText(s string) bool {
	return s != "" && strings.Trim(s, "-0123456789.,") == ""
}

// Space is what a file system has left.
type Space struct {
	Free int64  // bytes that may be written
	Type string // ext2/ext3, xfs, nfs …
}

// Free measures the file system that a file lies on, or would lie on.
func Free(ctx context.Context, n Node, name string) (Space, error) {
	dir := path.Dir(name)
	what := "measure the free space of " + dir
	out, err := run(ctx, n, what, nil, "stat", "-f", "-L", "-c", "%a %S %T", "--", dir)
	if err != nil {
		return Space{}, err
	}
	f := strings.SplitN(strings.TrimSpace(out), " ", 3)
	if len(f) != 3 {
		return Space{}, fmt.Errorf("cannot %s on %s: it says %q", what, n.Name(), virt.Clean(out))
	}
	blocks, err1 := strconv.ParseInt(f[0], 10, 64)
	size, err2 := strconv.ParseInt(f[1], 10, 64)
	if err := errors.Join(err1, err2); err != nil || blocks < 0 || size <= 0 || blocks > (1<<62)/size {
		return Space{}, fmt.Errorf("cannot %s on %s: it says %q", what, n.Name(), virt.Clean(out))
	}
	return Space{Free: blocks * size, Type: virt.Clean(f[2])}, nil
}
