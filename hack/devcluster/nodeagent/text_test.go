package nodeagent

import (
	"errors"
	"testing"
	"time"
)

func TestRewrite(t *testing.T) {
	m := &pathMap{}
	m.add("/etc/rambo", "/P/vol/rambo")
	m.add("/etc/rambo/secret/", "/P/vol/secret")
	m.add("/data", "/P/data")
	m.add("/", "/never")
	for in, want := range map[string]string{
		"/etc/rambo":                    "/P/vol/rambo",
		"/etc/rambo/a.json":             "/P/vol/rambo/a.json",
		"/etc/rambo/secret/key":         "/P/vol/secret/key",
		"/etc/rambo/secrets":            "/P/vol/rambo/secrets",
		"/etc/rambo-old/x":              "/etc/rambo-old/x",
		"/etc/rambo.d":                  "/etc/rambo.d",
		"see /data.":                    "see /P/data.",
		"--config=/etc/rambo/x":         "--config=/P/vol/rambo/x",
		"/data:/database:/data/b":       "/P/data:/database:/P/data/b",
		"file:///data/x":                "file:///P/data/x",
		"http://host/data/x":            "http://host/data/x",
		"my/data":                       "my/data",
		"./data ../data ~/data":         "./data ../data ~/data",
		"cat '/data/a' >\"/data/b\"":    "cat '/P/data/a' >\"/P/data/b\"",
		"no path":                       "no path",
		`{"path":"/etc/rambo/in.json"}`: `{"path":"/P/vol/rambo/in.json"}`,
	} {
		if got := m.rewrite(in); got != want {
			t.Errorf("rewrite(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestRewriteLeavesWhatItPutIn(t *testing.T) {
	m := &pathMap{}
	m.add("/tmp", "/tmp/cluster/volumes/tmp")
	if got := m.rewrite("/tmp/x"); got != "/tmp/cluster/volumes/tmp/x" {
		t.Errorf("got %q", got)
	}
}

func TestExpand(t *testing.T) {
	lookup := func(name string) (string, bool) {
		value, ok := map[string]string{"A": "1", "EMPTY": "", "REF": "$(A)"}[name]
		return value, ok
	}
	for in, want := range map[string]string{
		"$(A)": "1", "x$(A)y$(A)": "x1y1", "$(NONE)": "$(NONE)", "$$(A)": "$(A)", "$$$(A)": "$1", "$(EMPTY)!": "!",
		"$A": "$A", "$": "$", "a$": "a$", "$(A": "$(A", "$(REF)": "$(A)", "$$": "$", "cost: 5$": "cost: 5$",
	} {
		if got := expand(in, lookup); got != want {
			t.Errorf("expand(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestImageMapFind(t *testing.T) {
	entry := func(word string) Image { return Image{Entrypoint: []string{word}} }
	m := ImageMap{Images: map[string]Image{
		"rambo/runner": entry("runner"), "rambo/tagged:v2": entry("tagged"), "local/*": entry("glob"), "local/x*": entry("longer"),
		"host:5000/app": entry("port"),
	}}
	for ref, want := range map[string]string{
		"rambo/runner": "runner", "rambo/runner:1.2": "runner", "rambo/runner@sha256:abc": "runner", "rambo/runner:1@sha256:abc": "runner",
		"rambo/tagged:v2": "tagged", "rambo/tagged:v3": "tagged", "local/sh": "glob", "local/sh:1": "glob", "local/xy": "longer",
		"host:5000/app": "port", "host:5000/app:1": "port",
		"rambo/other": "", "local/a/b": "", "busybox": "",
	} {
		got, err := m.Find(ref)
		if want == "" {
			if !errors.Is(err, errNoImage) {
				t.Errorf("Find(%q) = %v, %v, want no image", ref, got, err)
			}
			continue
		}
		if err != nil || got.Entrypoint[0] != want {
			t.Errorf("Find(%q) = %v, %v, want %s", ref, got, err, want)
		}
	}
}

func TestBackoff(t *testing.T) {
	b := backoff{base: time.Second, max: 5 * time.Second}
	for i, want := range []time.Duration{0, 1, 2, 4, 5, 5} {
		if got := b.next(0); got != want*time.Second {
			t.Errorf("pause %d = %v, want %v s", i, got, int(want))
		}
	}
	if got := b.next(time.Minute); got != 0 {
		t.Errorf("pause after a long run = %v, want none", got)
	}
}
