// Command gitops answers, with the libraries that GitOps tools are made of, what those tools would make of an object of ours.
// Tests feed it objects of a real API server; it knows nothing of RamBo.
//
//	gitops status    kstatus (Flux, kpt): objects as JSON, one a line -> {"status","message"}, one a line
//	gitops health    Argo CD: {"script","object"} as JSON, one a line -> {"status","message"}, one a line
//	gitops envsubst  Flux post-build substitution: {"text","vars","strict"} as JSON, one a line -> {"text"} or {"error"}, one a line
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/fluxcd/pkg/envsubst"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

// maxLine bounds one request: a Workflow has at most 1.5 MiB.
const maxLine = 8 << 20

type verdict struct {
	Status  string `json:"status,omitempty"`
	Message string `json:"message,omitempty"`
	Text    string `json:"text,omitempty"`
	Error   string `json:"error,omitempty"`
}

func main() {
	verbs := map[string]func([]byte) (verdict, error){"status": kstatus, "health": health, "envsubst": substitute}
	if len(os.Args) != 2 || verbs[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: gitops status | health | envsubst (see the comment at the top of main.go)")
		os.Exit(2)
	}
	if err := answerAll(os.Stdin, os.Stdout, verbs[os.Args[1]]); err != nil {
		fmt.Fprintln(os.Stderr, "gitops:", err)
		os.Exit(1)
	}
}

// answerAll gives one line per line. What goes wrong with one request is its answer.
func answerAll(in io.Reader, out io.Writer, answer func([]byte) (verdict, error)) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	write := json.NewEncoder(out)
	for lines.Scan() {
		given, err := answer(lines.Bytes())
		if err != nil {
			given = verdict{Error: err.Error()}
		}
		if err := write.Encode(given); err != nil {
			return err
		}
	}
	return lines.Err()
}

// kstatus is what `flux` with `wait: true` and `kubectl kstatus` decide by.
func kstatus(line []byte) (verdict, error) {
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(line); err != nil {
		return verdict{}, err
	}
	result, err := status.Compute(object)
	if err != nil {
		return verdict{}, err
	}
	return verdict{Status: result.Status.String(), Message: result.Message}, nil
}

// substitute evaluates as Flux's kustomize-controller does: a variable that is not there is empty, or an error when strict.
func substitute(line []byte) (verdict, error) {
	var asked struct {
		Text   string            `json:"text"`
		Vars   map[string]string `json:"vars"`
		Strict bool              `json:"strict"`
	}
	if err := json.Unmarshal(line, &asked); err != nil {
		return verdict{}, err
	}
	text, err := envsubst.Eval(asked.Text, func(name string) (string, bool) {
		value, found := asked.Vars[name]
		return value, found || !asked.Strict
	})
	return verdict{Text: text}, err
}
