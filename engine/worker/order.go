// Package worker is the process of one job: it holds the job's lock, its
// journal and the connections, and lives in a session of its own, so that
// neither a lost terminal nor a crash of a screen touches the move.
//
// The parent hands over an Order on standard input, secrets included, and
// learns on descriptor 3 that the journal is open. Everything after that is
// seen in the job's folder.
package worker

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"horcrux/config"
	"horcrux/engine/audit"
	"horcrux/engine/jobs"
	"horcrux/engine/model"
)

// Purpose says what a job's process is to do.
type Purpose string

// Purposes.
const (
	Move    Purpose = "move"    // from the plan to the checks, and on to confirm if wished
	Confirm Purpose = "confirm" // let go of the source's leftovers
	Recover Purpose = "recover" // settle what a lost process left
	Restore Purpose = "restore" // boot the source's frozen disks after the guest died on the target
	Keep    Purpose = "keep"    // carry out a person's choice of the node that has the VM
)

// Order is all that a job's process is told.
type Order struct {
	Purpose  Purpose       `json:"purpose"`
	StateDir string        `json:"state_dir"`
	Job      model.JobID   `json:"job"`
	Plan     *model.Plan   `json:"plan,omitempty"`
	By       string        `json:"by"`
	Who      audit.Actor   `json:"who"`
	Config   config.Config `json:"config"`
	// Also are nodes from which other consoles have moves bound for the target.
	Also []model.NodeName `json:"also,omitempty"`
	// SendsBack is the job whose move this one takes back.
	SendsBack model.JobID `json:"sends_back,omitempty"`
	// Keep is the node that a person chose.
	Keep model.NodeName `json:"keep,omitempty"`
	// Passphrases by identity file; they are on no disk and in no argument.
	Passphrases map[string]string `json:"passphrases,omitempty"`
	// Answers that servers were given, by the question; as secret.
	Answers map[string][]string `json:"answers,omitempty"`
	// Answered are the addresses at which nodes with several answered.
	Answered map[model.NodeName]string `json:"answered,omitempty"`
}

// startWithin is how long a process may take to open its journal.
const startWithin = 15 * time.Second

// Spawn starts the process of a job and returns once its journal is open. The
// process goes on when the caller ends.
func Spawn(ctx context.Context, argv []string, store *jobs.Store, o Order) error {
	logFile, err := os.OpenFile(filepath.Join(store.Dir(o.Job), jobs.LogFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("cannot start the process of job %s: %w", o.Job, err)
	}
	defer logFile.Close()
	readyR, readyW, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("cannot start the process of job %s: %w", o.Job, err)
	}
	defer readyR.Close()
	orderR, orderW, err := os.Pipe()
	if err != nil {
		readyW.Close()
		return fmt.Errorf("cannot start the process of job %s: %w", o.Job, err)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = orderR, logFile, logFile
	cmd.ExtraFiles = []*os.File{readyW}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	readyW.Close()
	orderR.Close()
	if err != nil {
		orderW.Close()
		return fmt.Errorf("cannot start the process of job %s: %w", o.Job, err)
	}
	// The process is waited for only so that it leaves no zombie behind.
	go func() { _ = cmd.Wait() }()
	if err := json.NewEncoder(orderW).Encode(o); err != nil {
		orderW.Close()
		return fmt.Errorf("cannot tell the process of job %s what to do: %w", o.Job, err)
	}
	orderW.Close()
	return o.unready(awaitReady(ctx, readyR, o.Job), filepath.Join(store.Dir(o.Job), jobs.LogFile))
}

// unready says of a move that did not begin where its VM is, and what to do.
func (o Order) unready(err error, log string) error {
	if err == nil || o.Purpose != Move || o.Plan == nil {
		return err
	}
	return fmt.Errorf("cannot begin the move of %s from %s to %s; cause: %w; the VM is on %s, nothing was changed; next: look into %s, then start the move again (horcrux recover closes job %s)",
		o.Plan.VMName, o.Plan.From, o.Plan.To, err, o.Plan.From, log, o.Job)
}

// ready is the line by which a process says that its journal is open.
const ready = "ready"

func awaitReady(ctx context.Context, r *os.File, job model.JobID) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = r.SetReadDeadline(time.Now()) })
	defer stop()
	line, err := bufio.NewReader(io.LimitReader(r, 4096)).ReadString('\n')
	switch line = strings.TrimSpace(line); {
	case line == ready:
		return nil
	case line != "":
		return errors.New(line)
	case ctx.Err() != nil:
		return fmt.Errorf("the process of job %s did not open its journal within %s", job, startWithin)
	}
	return fmt.Errorf("the process of job %s ended before it opened its journal (%w)", job, err)
}
