package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"time"
)

// Ports are taken below 32768: from there on the kernel hands ports to outgoing connections, and one of those could hold ours
// just when a component restarts.
const (
	firstPort = 20000
	lastPort  = 32000
	// portPatience is how long a restart waits for a port of the run before to be given back.
	portPatience = 3 * time.Second
)

var portNames = []string{"etcd", "etcdPeer", "apiServer", "node"}

// choosePorts returns the ports kept in file as far as they are free, and random free ones for the rest.
func choosePorts(file string) (map[string]int, error) {
	kept := map[string]int{}
	if data, err := os.ReadFile(file); err == nil {
		_ = json.Unmarshal(data, &kept) // an unreadable file only means new ports
	}
	ports, taken := map[string]int{}, map[int]bool{}
	deadline := time.Now().Add(portPatience)
	for _, name := range portNames {
		port := kept[name]
		for port != 0 && !portFree(port) {
			if time.Now().After(deadline) {
				port = 0
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if port == 0 || taken[port] {
			var err error
			if port, err = randomFreePort(taken); err != nil {
				return nil, err
			}
		}
		ports[name], taken[port] = port, true
	}
	data, err := json.Marshal(ports)
	if err != nil {
		return nil, err
	}
	return ports, writeFile(file, data, 0o600)
}

func randomFreePort(taken map[int]bool) (int, error) {
	for range 200 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if !taken[port] && portFree(port) {
			return port, nil
		}
	}
	return 0, errors.New("no free port found between " + strconv.Itoa(firstPort) + " and " + strconv.Itoa(lastPort))
}

func portFree(port int) bool {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}
