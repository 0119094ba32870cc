package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"horcrux/engine/virt"
)

// publishScript gives a partial file owner, mode and label, and its final name
// if nothing has that name. $1 partial, $2 final, $3 inode, $4 mode, $5 owner,
// $6 label, $7 file or tree. It says what it could not do as asked, and can be
// run again.
const publishScript = `p=$1 f=$2 inode=$3
ours() { [ "$(stat -c %i -- "$1" 2>/dev/null)" = "$inode" ]; }
if ! ours "$f"; then
if [ -e "$f" ] || [ -L "$f" ]; then echo "something else has the name $f" >&2; exit 45; fi
ours "$p" || { echo "$p is not the file that was made" >&2; exit 46; }
if [ "$7" = file ]; then
chown -- "$5" "$p" 2>/dev/null || { chown root:root -- "$p" && echo "the owner $5 is not known here, it belongs to root"; }
chmod -- "$4" "$p" || exit 1
if [ -n "$6" ] && [ -e /sys/fs/selinux/enforce ]; then
chcon -- "$6" "$p" 2>/dev/null || echo "the label $6 could not be set"
fi
sync -- "$p"
ln -T -- "$p" "$f" 2>/dev/null || mv -nT -- "$p" "$f"
else
mv -nT -- "$p" "$f"
[ -e /sys/fs/selinux/enforce ] && restorecon -RF -- "$f" 2>/dev/null
fi
ours "$f" || { echo "something else has the name $f" >&2; exit 45; }
fi
if [ "$7" = file ] && ours "$p"; then rm -f -- "$p" || exit 1; fi
sync -- "$(dirname -- "$f")"`

// Publish gives all files their final names, in the order of the plan. It never
// replaces anything. Doing it again does no harm. The notes say, in words, what
// could not be restored as it was.
func (c *Copy) Publish(ctx context.Context) (notes []string, err error) {
	if _, err := c.Verify(ctx); err != nil {
		return nil, err
	}
	for _, f := range c.files {
		known, _ := c.log.entry(f.Target)
		if known.published {
			continue
		}
		kind := "file"
		if f.Tree {
			kind = "tree"
		}
		out, err := run(ctx, c.dst, "publish "+f.Target, nil, "sh", "-c", publishScript, "horcrux-copy",
			f.partial, f.Target, strconv.FormatUint(known.inode, 10), known.was.Mode, known.was.owner(), known.was.Label, kind)
		if err != nil {
			return notes, err
		}
		for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
			if line != "" {
				notes = append(notes, fmt.Sprintf("%s: %s", f.Target, virt.Clean(line)))
			}
		}
		if err := c.log.write(record{Kind: recPublished, Target: f.Target}); err != nil {
			return notes, err
		}
	}
	return notes, nil
}

// owner is who shall own the copy: by name, since numbers differ between nodes.
func (s Stat) owner() string {
	user, group := s.User, s.Group
	if user == "" || user == "UNKNOWN" {
		user = strconv.FormatUint(uint64(s.UID), 10)
	}
	if group == "" || group == "UNKNOWN" {
		group = strconv.FormatUint(uint64(s.GID), 10)
	}
	return user + ":" + group
}

// Published tells whether all files of the plan have their final names, as the
// log has it.
func (c *Copy) Published() bool {
	for _, f := range c.files {
		if known, ok := c.log.entry(f.Target); !ok || !known.published {
			return false
		}
	}
	return true
}

// removeScript removes a partial file or folder and makes that durable.
const removeScript = `[ -e "$1" ] || [ -L "$1" ] || exit 0
rm -rf -- "$1" && sync -- "$(dirname -- "$1")"`

// Discard removes what an unfinished copy left: helpers on both nodes and the
// partial files on the target. Files that were published stay. src may be nil
// when it cannot be reached: its helpers then end by themselves within a minute.
func Discard(ctx context.Context, src, dst Node, p Plan) error {
	return undo(ctx, src, dst, p, false)
}

// Withdraw is Discard that also removes the files that this plan published, if
// they are still the ones that it made. The caller knows that nobody uses them.
func Withdraw(ctx context.Context, src, dst Node, p Plan) error {
	return undo(ctx, src, dst, p, true)
}

// withdrawScript removes a file if it is the one with this inode.
const withdrawScript = `[ -e "$1" ] || [ -L "$1" ] || exit 0
[ "$(stat -c %i -- "$1")" = "$2" ] || { echo "it is not the file that was copied there" >&2; exit 45; }
rm -rf -- "$1" && sync -- "$(dirname -- "$1")"`

func undo(ctx context.Context, src, dst Node, p Plan, published bool) error {
	if err := p.check(); err != nil {
		return err
	}
	l, err := openLog(p.Dir)
	if err != nil {
		return err
	}
	defer l.close()
	var errs []error
	if src != nil {
		errs = append(errs, sweep(ctx, src, p.Job))
	}
	// A server that still writes would hold the space of a removed file.
	if err := sweep(ctx, dst, p.Job); err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, f := range p.Files {
		known, logged := l.entry(f.Target)
		name := partial(f.Target, p.Job)
		_, err := run(ctx, dst, "remove "+name, nil, "sh", "-c", removeScript, "horcrux-copy", name)
		// What is verified may have got its name just before a crash.
		if err == nil && published && logged && known.verified {
			_, err = run(ctx, dst, "remove "+f.Target, nil, "sh", "-c", withdrawScript, "horcrux-copy", f.Target, strconv.FormatUint(known.inode, 10))
		}
		if err == nil && logged && (published || !known.published) {
			err = l.write(record{Kind: recWithdrawn, Target: f.Target})
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
