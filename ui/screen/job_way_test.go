package screen

import (
	"testing"

	"horcrux/engine/model"
)

func TestWayWords(t *testing.T) {
	for want, p := range map[string]*model.Plan{
		"; data go by SSH through here": {Way: model.PathRelay},
		"; data go by SSH":              {Way: model.PathSSH},
		"; data go with TLS":            {Way: model.PathDirect, Encrypted: true},
		"; data go unencrypted":         {Way: model.PathDirect},
	} {
		if got := wayWords(p); got != want {
			t.Errorf("%+v: %q, want %q", p.Way, got, want)
		}
	}
	if wayWords(nil) != "" || wayWords(&model.Plan{}) != "" {
		t.Error("words about a way that nobody knows")
	}
}

// The job's own events come first: until the list has caught up, a move that
// waits must not lose its yes.
func TestAQuestionOutlivesAnOldList(t *testing.T) {
	waiting := func(j model.Job) bool { return j.State == model.JobAwaiting }
	for _, tt := range []struct {
		shown, listed model.JobState
		gone          bool
	}{
		{model.JobAwaiting, model.JobAwaiting, false},
		{model.JobAwaiting, model.JobRunning, false},
		{model.JobAwaiting, model.JobDone, true},
		{model.JobDone, model.JobAwaiting, true},
	} {
		s := &Job{id: "k3f9x2", job: model.Job{ID: "k3f9x2", State: tt.shown}}
		e := &Env{Jobs: []model.Job{{ID: "k3f9x2", State: tt.listed}}}
		if got := s.changed("gone", waiting)(e); (got != "") != tt.gone {
			t.Errorf("shown %s, listed %s: %q", tt.shown, tt.listed, got)
		}
	}
}
