package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
)

// Proof says what was compared: for each file the bytes of all blocks that are
// not holes, read on the source and read again from the target's disk.
type Proof struct {
	Files []FileProof `json:"files"`
	Bytes int64       `json:"bytes"` // read on each node
}

// FileProof is the proof of one file.
type FileProof struct {
	Source string `json:"source"`
	Target string `json:"target"`
	Size   int64  `json:"size"`  // holes included
	Bytes  int64  `json:"bytes"` // read on each node
	// Digest is the sha256 over the places and sha256 sums of its windows; equal
	// files with equal holes have the same. For a folder it is the sha256 over
	// names, modes and contents.
	Digest string `json:"digest"`
}

// String reads "sha256 of 3 files equal on both nodes, 1.5 GiB read on each".
func (p Proof) String() string {
	files := "files"
	if len(p.Files) == 1 {
		files = "file"
	}
	return fmt.Sprintf("sha256 of %d %s equal on both nodes, %s read on each", len(p.Files), files, size(p.Bytes))
}

// root folds the sums of windows into one.
type root struct{ h hash.Hash }

func newRoot() root { return root{sha256.New()} }

func (r root) add(w window, sum string) { fmt.Fprintf(r.h, "%s %s\n", w.list(), sum) }

func (r root) sum() string { return hex.EncodeToString(r.h.Sum(nil)) }

// Verify gives the proof of all files of the plan, after Run. Nothing that was
// read is read again; whether the source is still as it was, and the target's
// file still ours, is looked at once more.
func (c *Copy) Verify(ctx context.Context) (Proof, error) {
	var p Proof
	for _, f := range c.files {
		known, ok := c.log.entry(f.Target)
		if !ok || !known.verified {
			return Proof{}, fmt.Errorf("cannot prove %s: it is not copied in full yet", f.Target)
		}
		if !known.published {
			if !f.Tree {
				if err := c.unchanged(ctx, f, known); err != nil {
					return Proof{}, err
				}
			}
			there, err := Look(ctx, c.dst, f.partial)
			if err != nil {
				return Proof{}, err
			}
			if there.Inode != known.inode {
				return Proof{}, fmt.Errorf("cannot prove %s on %s: it is not the file that was compared (%s is not %s)",
					f.partial, c.dst.Name(), strconv.FormatUint(there.Inode, 10), strconv.FormatUint(known.inode, 10))
			}
		}
		p.Files = append(p.Files, FileProof{Source: f.Source, Target: f.Target, Size: known.was.Size, Bytes: known.bytes, Digest: known.sum})
		p.Bytes += known.bytes
	}
	return p, nil
}
