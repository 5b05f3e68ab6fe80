package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// healthTimeout is Argo CD's.
const healthTimeout = time.Second

// healthCodes are the ones Argo CD takes from a script; it turns all others into Unknown.
var healthCodes = map[string]bool{"Unknown": true, "Progressing": true, "Suspended": true, "Healthy": true, "Degraded": true, "Missing": true}

// health runs a script as Argo CD does with its default `useOpenLibs: false`: the object is the global `obj`, only package,
// base and table are open (no string, no math), one second, and the script returns a table of status and message.
func health(line []byte) (verdict, error) {
	var asked struct {
		Script string         `json:"script"`
		Object map[string]any `json:"object"`
	}
	if err := json.Unmarshal(line, &asked); err != nil {
		return verdict{}, err
	}
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{{lua.LoadLibName, lua.OpenPackage}, {lua.BaseLibName, lua.OpenBase}, {lua.TabLibName, lua.OpenTable}} {
		call := lua.P{Fn: state.NewFunction(library.open), Protect: true}
		if err := state.CallByParam(call, lua.LString(library.name)); err != nil {
			return verdict{}, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), healthTimeout)
	defer cancel()
	state.SetContext(ctx)
	state.SetGlobal("obj", toLua(state, asked.Object))
	if err := state.DoString(asked.Script); err != nil {
		return verdict{}, err
	}
	table, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return verdict{}, fmt.Errorf("the script returned %s, not a table", state.Get(-1).Type())
	}
	code := table.RawGetString("status").String()
	if !healthCodes[code] {
		return verdict{}, fmt.Errorf("the script returned the health %q, which Argo CD does not know", code)
	}
	message, _ := table.RawGetString("message").(lua.LString)
	return verdict{Status: code, Message: string(message)}, nil
}

func toLua(state *lua.LState, value any) lua.LValue {
	switch typed := value.(type) {
	case bool:
		return lua.LBool(typed)
	case float64:
		return lua.LNumber(typed)
	case string:
		return lua.LString(typed)
	case []any:
		table := state.CreateTable(len(typed), 0)
		for _, entry := range typed {
			table.Append(toLua(state, entry))
		}
		return table
	case map[string]any:
		table := state.CreateTable(0, len(typed))
		for key, entry := range typed {
			table.RawSetString(key, toLua(state, entry))
		}
		return table
	default:
		return lua.LNil
	}
}
