package virt

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestWay(t *testing.T) {
	never := make(chan struct{})
	t.Run("waits for what is on the way", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w, began := newWay(), time.Now()
			if !w.enter() {
				t.Fatal("an open way is shut")
			}
			time.AfterFunc(300*time.Millisecond, w.leave)
			w.shut(time.Second, nil)
			if took := time.Since(began); took != 300*time.Millisecond {
				t.Error(took)
			}
			if w.enter() {
				t.Error("a closed way is open")
			}
			w.shut(time.Second, nil) // and again
		})
	})
	t.Run("but not for ever", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w, began := newWay(), time.Now()
			w.enter()
			w.shut(time.Second, nil)
			if took := time.Since(began); took != time.Second {
				t.Error(took)
			}
			w.leave()
		})
	})
	t.Run("nor when there is nobody", func(t *testing.T) {
		w := newWay()
		w.shut(time.Hour, never)
		w = newWay()
		w.enter()
		gone := make(chan struct{})
		close(gone)
		w.shut(time.Hour, gone)
	})
}
