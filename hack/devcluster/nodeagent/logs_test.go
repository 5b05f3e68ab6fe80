package nodeagent

import (
	"bytes"
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
)

func TestParseLogOptions(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	o, err := parseLogOptions(url.Values{"follow": {"true"}, "tailLines": {"7"}, "sinceSeconds": {"5"}, "limitBytes": {"9"}, "timestamps": {"1"}, "stream": {"Stderr"}}, now)
	if err != nil {
		t.Fatal(err)
	}
	want := logOptions{follow: true, timestamps: true, tailLines: 7, limitBytes: 9, since: now.Add(-5 * time.Second), stream: "stderr"}
	if o != want {
		t.Errorf("got %+v, want %+v", o, want)
	}
	if o, err = parseLogOptions(url.Values{}, now); err != nil || o.tailLines != -1 || o.limitBytes != -1 || o.follow {
		t.Errorf("defaults: %+v, %v", o, err)
	}
	for name, value := range map[string]string{"follow": "maybe", "tailLines": "-1", "sinceSeconds": "x", "sinceTime": "now", "stream": "Other"} {
		if _, err := parseLogOptions(url.Values{name: {value}}, now); err == nil {
			t.Errorf("%s=%s was accepted", name, value)
		}
	}
}

func writeLog(t *testing.T, stdout, stderr string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "c.log")
	log, err := openLog(name)
	if err != nil {
		t.Fatal(err)
	}
	log.copy("stdout", strings.NewReader(stdout))
	log.copy("stderr", strings.NewReader(stderr))
	log.close()
	return name
}

func readLog(t *testing.T, name string, o logOptions) string {
	t.Helper()
	var out bytes.Buffer
	if err := copyLogs(context.Background(), name, o, func() bool { return false }, &out, func() {}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestLogs(t *testing.T) {
	long := strings.Repeat("x", logLineLimit+100)
	name := writeLog(t, "one\n"+long+"\nlast, without an end", "err\n")
	for _, c := range []struct {
		o    logOptions
		want string
	}{
		{logOptions{tailLines: -1, limitBytes: -1}, "one\n" + long + "\nlast, without an end\nerr\n"},
		{logOptions{tailLines: 1, limitBytes: -1}, "err\n"},
		{logOptions{tailLines: 3, limitBytes: -1}, long + "\nlast, without an end\nerr\n"},
		{logOptions{tailLines: 0, limitBytes: -1}, ""},
		{logOptions{tailLines: -1, limitBytes: 5}, "one\nx"},
		{logOptions{tailLines: -1, limitBytes: 0}, ""},
		{logOptions{tailLines: -1, limitBytes: -1, stream: "stderr"}, "err\n"},
		{logOptions{tailLines: -1, limitBytes: -1, since: time.Now().Add(time.Hour)}, ""},
	} {
		if got := readLog(t, name, c.o); got != c.want {
			t.Errorf("%+v: got %d bytes %.60q, want %d bytes", c.o, len(got), got, len(c.want))
		}
	}
	if got := readLog(t, name, logOptions{tailLines: 1, limitBytes: -1, timestamps: true}); !strings.HasSuffix(got, "Z err\n") {
		t.Errorf("timestamps: %q", got)
	}
}

func TestLogFollowAndRotation(t *testing.T) {
	name := filepath.Join(t.TempDir(), "c.log")
	log, err := openLog(name)
	if err != nil {
		t.Fatal(err)
	}
	line := strings.Repeat("y", 1000) + "\n"
	lines := logFileLimit/1000 + 500 // more than one file
	done := make(chan struct{})
	var out bytes.Buffer
	var ended atomic.Bool
	log.copy("stdout", strings.NewReader(line))
	go func() {
		defer close(done)
		running := func() bool { return !ended.Load() }
		_ = copyLogs(context.Background(), name, logOptions{follow: true, tailLines: -1, limitBytes: -1}, running, &out, func() {})
	}()
	log.copy("stdout", strings.NewReader(strings.Repeat(line, lines-1)))
	log.close()
	ended.Store(true)
	<-done
	if got := out.Len(); got != lines*len(line) {
		t.Errorf("followed %d bytes, want %d", got, lines*len(line))
	}
	if _, err := os.Stat(name + ".1"); err != nil {
		t.Error("the log was not rotated")
	}
}

func TestTerminationMessage(t *testing.T) {
	dir := t.TempDir()
	spec := &processSpec{terminationFile: filepath.Join(dir, "term"), logFile: writeLog(t, strings.Repeat("line\n", 100), "")}
	write := func(text string) {
		if err := os.WriteFile(spec.terminationFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fromLogs := &v1.Container{TerminationMessagePolicy: v1.TerminationMessageFallbackToLogsOnError}
	write("hello")
	if got := terminationMessage(fromLogs, spec, 1); got != "hello" {
		t.Errorf("got %q", got)
	}
	write("")
	if got := terminationMessage(&v1.Container{}, spec, 1); got != "" {
		t.Errorf("policy File: got %q", got)
	}
	if got := terminationMessage(fromLogs, spec, 0); got != "" {
		t.Errorf("success: got %q", got)
	}
	if got := terminationMessage(fromLogs, spec, 1); got != strings.Repeat("line\n", 80) {
		t.Errorf("from logs: %d lines", strings.Count(got, "\n"))
	}
	write(strings.Repeat("a", 10) + strings.Repeat("b", messageLimit))
	if got := terminationMessage(fromLogs, spec, 1); got != strings.Repeat("b", messageLimit) {
		t.Errorf("long message: %d bytes", len(got))
	}
	_ = os.Remove(spec.terminationFile)
	if err := os.Symlink("/etc/passwd", spec.terminationFile); err != nil {
		t.Fatal(err)
	}
	if got := terminationMessage(&v1.Container{}, spec, 1); got != "" {
		t.Errorf("a link was followed: %q", got)
	}
}
