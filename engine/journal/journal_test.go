package journal

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"horcrux/engine/model"
)

func fixed() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

func open(t *testing.T) (*Journal, string) {
	t.Helper()
	dir := t.TempDir()
	j, err := Create(dir, "k3f9x2", fixed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	if err := j.Append(Record{Kind: Planned, Plan: &model.Plan{VMName: "web"}}); err != nil {
		t.Fatal(err)
	}
	return j, dir
}

func TestCommitAndRollbackExcludeEachOther(t *testing.T) {
	tests := []struct {
		name string
		do   func(j *Journal) error
		want bool // an error
	}{
		{"rollback then commit", func(j *Journal) error { _ = j.Rollback("x", ""); return j.Commit() }, true},
		{"commit then rollback", func(j *Journal) error { _ = j.Commit(); return j.Rollback("x", "") }, true},
		{"commit then rollback with proof", func(j *Journal) error { _ = j.Commit(); return j.Rollback("x", "resume refused, seen paused") }, false},
		{"commit twice", func(j *Journal) error { _ = j.Commit(); return j.Commit() }, true},
		{"committed then rollback with proof", func(j *Journal) error {
			_ = j.Commit()
			_ = j.Append(Record{Kind: Committed})
			return j.Rollback("x", "proof")
		}, true},
		{"rollback twice", func(j *Journal) error { _ = j.Rollback("x", ""); return j.Rollback("x", "") }, false},
		{"commit after a proved rollback", func(j *Journal) error { _ = j.Commit(); _ = j.Rollback("x", "p"); return j.Commit() }, true},
		{"commit by Append", func(j *Journal) error { return j.Append(Record{Kind: CommitIntent}) }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j, dir := open(t)
			err := tt.do(j)
			if (err != nil) != tt.want {
				t.Fatalf("err = %v, want an error: %v", err, tt.want)
			}
			v, err := Read(dir)
			if err != nil {
				t.Fatal(err)
			}
			if v.Rollback && v.Epoch != BeforeCommit {
				t.Errorf("rollback in epoch %d", v.Epoch)
			}
		})
	}
}

func TestTornRecordIsCutOff(t *testing.T) {
	j, dir := open(t)
	if err := j.Append(Record{Kind: Beginning}); err != nil {
		t.Fatal(err)
	}
	j.Close()
	name := filepath.Join(dir, FileName)
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(`{"v":1,"seq":3,"kind":"prep`)
	f.Close()

	j, err = Open(dir, "k3f9x2", fixed)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if v := j.View(); v.Prepared || !v.Begun || v.Seq != 2 {
		t.Errorf("view after a torn record: %+v", v)
	}
	if err := j.Append(Record{Kind: Preparing}); err != nil {
		t.Fatal(err)
	}
	if v, err := Read(dir); err != nil || !v.Prepared {
		t.Errorf("read after going on: %+v, %v", v, err)
	}
}

func TestDebtsArePaid(t *testing.T) {
	j, _ := open(t)
	a, b := Debt{"node2", "destroy"}, Debt{"node2", "volume /x"}
	for _, r := range []Record{{Kind: Owed, Debt: &a}, {Kind: Owed, Debt: &b}, {Kind: Paid, Debt: &a}} {
		if err := j.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	if d := j.View().Debts; len(d) != 1 || d[0] != b {
		t.Errorf("debts = %v", d)
	}
}

func TestDamagedJournalIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"no plan first": `{"v":1,"seq":1,"kind":"begin"}` + "\n",
		"newer version": `{"v":9,"seq":1,"kind":"planned","plan":{}}` + "\n",
		"hole":          `{"v":1,"seq":1,"kind":"planned","plan":{}}` + "\n" + `{"v":1,"seq":3,"kind":"begin"}` + "\n",
		"unknown kind":  `{"v":1,"seq":1,"kind":"planned","plan":{}}` + "\n" + `{"v":1,"seq":2,"kind":"dance"}` + "\n",
		"not json":      "{{{\n",
		"plan twice":    `{"v":1,"seq":1,"kind":"planned","plan":{}}` + "\n" + `{"v":1,"seq":2,"kind":"planned","plan":{}}` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, FileName), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Read(dir); err == nil {
				t.Error("read without an error")
			}
		})
	}
}

func TestFullDiskStopsTheJournal(t *testing.T) {
	j, _ := open(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal("this test needs /dev/full: ", err)
	}
	j.f.Close()
	j.f = full
	if err := j.Commit(); err == nil {
		t.Fatal("a record that is not on disk was taken for written")
	}
	if j.View().Epoch != BeforeCommit {
		t.Error("the view knows a record that is not on disk")
	}
	if err := j.Append(Record{Kind: Beginning}); !errors.Is(err, j.broken) {
		t.Errorf("went on after a failed write: %v", err)
	}
}
