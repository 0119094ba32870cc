package health

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"horcrux/config"
	"horcrux/engine/model"
)

// guestNet dials one place, whatever is asked for.
func guestNet(place string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, place)
	}
}

func TestApplications(t *testing.T) {
	answer := atomic.Int32{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
			return
		}
		w.WriteHeader(int(answer.Load()))
	}))
	defer srv.Close()
	place := strings.TrimPrefix(srv.URL, "http://")
	web := config.Application{VM: "web*", HTTP: "http://{ip}/health", Status: 200, Timeout: 2 * time.Second}
	ssh := config.Application{VM: "*", TCP: "{ip}:22", Timeout: 2 * time.Second}
	cmd := config.Application{VM: "web", Command: []string{"/bin/check", "{name}"}, Timeout: 2 * time.Second}
	failedBefore := []model.CheckResult{{Check: model.CheckApp, Facts: map[string]string{"http http://{ip}/health": "fail"}}}

	tests := []struct {
		name     string
		stage    model.CheckStage
		status   int
		apps     []config.Application
		base     []model.CheckResult
		spoil    func(*fakeVM)
		verdict  model.Verdict
		evidence string
	}{
		{"HTTP", model.StageNow, 200, []config.Application{web}, nil, nil, model.Pass, "from this console to http://192.0.2.9/health: 200 in"},
		{"HTTP, other status", model.StageNow, 503, []config.Application{web}, nil, nil, model.Fail, "from this console to http://{ip}/health: http://192.0.2.9/health: 503 in"},
		{"HTTP, no status configured", model.StageNow, 200, []config.Application{{VM: "web", HTTP: "http://{ip}/"}}, nil, nil, model.Pass, "200"},
		{"a redirect is an answer", model.StageNow, 200, []config.Application{{VM: "web", HTTP: "http://{ip}/moved", Status: 302}}, nil, nil, model.Pass, "302 in"},
		{"name", model.StageNow, 200, []config.Application{{VM: "web", HTTP: "http://{name}.example/x"}}, nil, nil, model.Pass, "http://web.example/x: 200"},
		{"TCP", model.StageNow, 200, []config.Application{ssh}, nil, nil, model.Pass, "from this console to 192.0.2.9:22: connected in"},
		{"command", model.StageNow, 200, []config.Application{cmd}, nil, nil, model.Pass, "in the guest, /bin/check web: exit 0 in"},
		{"command fails", model.StageNow, 200, []config.Application{cmd}, nil, func(v *fakeVM) { v.exec = `{"exited":true,"exitcode":3,"err-data":"bm8gc3VjaCB0YWJsZQo="}` }, model.Fail, "in the guest, /bin/check {name}: exit 3 after"},
		{"words of a failed command", model.StageNow, 200, []config.Application{cmd}, nil, func(v *fakeVM) { v.exec = `{"exited":true,"exitcode":3,"err-data":"bm8gc3VjaCB0YWJsZQo="}` }, model.Fail, "ms: no such table"},
		{"command killed", model.StageNow, 200, []config.Application{cmd}, nil, func(v *fakeVM) { v.exec = `{"exited":true,"signal":9}` }, model.Fail, "ended by signal 9"},
		{"command without agent", model.StageNow, 200, []config.Application{cmd}, nil, func(v *fakeVM) { v.agentOff = -1 }, model.Fail, "not connected"},
		{"command, nonsense", model.StageNow, 200, []config.Application{cmd}, nil, func(v *fakeVM) { v.exec = `[]` }, model.Fail, "guest-exec-status is not understood"},
		{"the worst counts", model.StageNow, 500, []config.Application{web, ssh}, nil, nil, model.Fail, "connected in"},
		{"none", model.StageNow, 200, nil, nil, nil, model.Skip, "no application check is configured for this VM"},
		{"none for this one", model.StageNow, 200, []config.Application{{VM: "db*", TCP: "{ip}:1"}}, nil, nil, model.Skip, "no application check"},
		{"bad pattern", model.StageNow, 200, []config.Application{{VM: "[", TCP: "{ip}:1"}}, nil, nil, model.Skip, "no application check"},
		{"nothing to check", model.StageNow, 200, []config.Application{{VM: "web"}}, nil, nil, model.Fail, "names nothing to check"},
		{"no address", model.StageNow, 200, []config.Application{web}, nil, func(v *fakeVM) { v.ips = nil }, model.Fail, "no address of the guest is known"},
		{"paused", model.StageNow, 200, []config.Application{web}, nil, userPaused, model.Skip, "paused"},
		{"failed before too", model.StageAfter, 503, []config.Application{web}, failedBefore, nil, model.Warn, "and it failed before the move too"},
		{"fails after", model.StageAfter, 503, []config.Application{web}, nil, nil, model.Fail, "503"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answer.Store(int32(tt.status))
			v := healthy()
			if tt.spoil != nil {
				tt.spoil(v)
			}
			r := v.run(t, tt.stage, Options{Applications: tt.apps, Baseline: tt.base, Dial: guestNet(place)})[model.CheckApp]
			if r.Verdict != tt.verdict || !strings.Contains(r.Evidence, tt.evidence) {
				t.Errorf("got  %s: %s\nwant %s: %s", r.Verdict, r.Evidence, tt.verdict, tt.evidence)
			}
		})
	}
}

func TestEveryAddressIsTried(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	real := (&net.Dialer{})
	var asked []string
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		asked = append(asked, address)
		if strings.HasPrefix(address, "192.0.2.9") {
			return nil, errors.New("unreachable")
		}
		return real.DialContext(ctx, network, strings.TrimPrefix(srv.URL, "http://"))
	}
	v := healthy()
	apps := []config.Application{{VM: "web", HTTP: "http://{ip}:8080/", Status: 404}}
	r := v.run(t, model.StageNow, Options{Applications: apps, Dial: dial})[model.CheckApp]
	if r.Verdict != model.Pass || len(asked) != 2 || asked[1] != "[2001:db8::9]:8080" {
		t.Errorf("asked %v: %s %s", asked, r.Verdict, r.Evidence)
	}
}

// After a move the network needs a moment to learn where the guest is now.
func TestApplicationIsTriedAgainAfterTheMove(t *testing.T) {
	for stage, want := range map[model.CheckStage]model.Verdict{model.StageAfter: model.Pass, model.StageBaseline: model.Fail} {
		synctest.Test(t, func(t *testing.T) {
			v := healthy()
			tries := 0
			dial := func(context.Context, string, string) (net.Conn, error) {
				if tries++; tries < 3 {
					return nil, errors.New("no route to host")
				}
				c, other := net.Pipe()
				other.Close()
				return c, nil
			}
			v.ips = []string{"192.0.2.9"}
			apps := []config.Application{{VM: "web", TCP: "{ip}:22", Timeout: 5 * time.Second}}
			for _, r := range Run(t.Context(), v, stage, Options{Applications: apps, VMName: "web", Dial: dial}, nil) {
				if r.Check != model.CheckApp {
					continue
				}
				if r.Verdict != want || want == model.Pass && !strings.Contains(r.Evidence, "at try 3") {
					t.Errorf("%s: %s after %d tries: %s", stage, r.Verdict, tries, r.Evidence)
				}
			}
		})
	}
}

// A server that takes the connection and says nothing costs its own time only.
func TestSilentServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := healthy()
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		apps := []config.Application{{VM: "web", HTTP: "http://{ip}/", Timeout: 3 * time.Second}}
		began := time.Now()
		rs := Run(t.Context(), v, model.StageNow, Options{Applications: apps, VMName: "web", Dial: dial}, nil)
		r := rs[len(rs)-1]
		if r.Verdict != model.Fail || !strings.Contains(r.Evidence, "no answer in time") {
			t.Errorf("got %+v", r)
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestCommandThatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := healthy()
		v.exec = `{"exited":false}`
		apps := []config.Application{{VM: "web", Command: []string{"/bin/sleep", "60"}, Timeout: time.Second}}
		rs := Run(t.Context(), v, model.StageNow, Options{Applications: apps, VMName: "web"}, nil)
		if r := rs[len(rs)-1]; r.Verdict != model.Fail || !strings.Contains(r.Evidence, "not done after") {
			t.Errorf("got %+v", r)
		}
	})
}
