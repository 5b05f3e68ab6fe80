package supervisor

import (
	"encoding/json"
	"maps"
	"os"
	"sync"
	"time"
)

// State is DIR/state.json: written when the cluster is ready, again when a component was restarted, and removed at the end.
type State struct {
	APIServer  string         `json:"apiServer"`
	CAFile     string         `json:"caFile"`
	Kubeconfig string         `json:"kubeconfig"`
	TokenFile  string         `json:"tokenFile"`
	Issuer     string         `json:"issuer"`
	Node       string         `json:"node"`
	NodeName   string         `json:"nodeName"`
	Kubectl    string         `json:"kubectl"`
	LogsDir    string         `json:"logsDir"`
	PIDs       map[string]int `json:"pids"`
	Ports      map[string]int `json:"ports"`
	Restarts   map[string]int `json:"restarts"`
	APIReadyMs int64          `json:"apiReadyMs"`
	ReadyMs    int64          `json:"readyMs"`
	StartedAt  time.Time      `json:"startedAt"`
}

// stateFile keeps state.json true.
type stateFile struct {
	mu    sync.Mutex
	file  string
	state State
	live  bool // false before the cluster is ready and after it has begun to stop: then there is no file
}

func (s *stateFile) setPID(name string, pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, again := s.state.PIDs[name]; again {
		s.state.Restarts[name]++
	}
	s.state.PIDs[name] = pid
	_ = s.writeLocked()
}

func (s *stateFile) publish(change func(*State)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.state)
	s.live = true
	return s.writeLocked()
}

func (s *stateFile) remove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live = false
	_ = os.Remove(s.file)
}

func (s *stateFile) writeLocked() error {
	if !s.live {
		return nil
	}
	data, err := json.MarshalIndent(s.state, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(s.file, append(data, '\n'), 0o600)
}

func newStateFile(c *cluster) *stateFile {
	return &stateFile{file: c.path("state.json"), state: State{
		APIServer: c.apiServerURL(), CAFile: c.path("ca.crt"), Kubeconfig: c.kubeconfig(), TokenFile: c.pki("admin.token"), Issuer: tokenIssuer,
		Node: c.options.Node, NodeName: c.options.NodeName(), Kubectl: c.path("bin", "kubectl"), LogsDir: c.path("logs"),
		PIDs: map[string]int{"supervisor": os.Getpid()}, Ports: maps.Clone(c.ports), Restarts: map[string]int{}, StartedAt: time.Now().UTC(),
	}}
}
