#!/usr/bin/env bash
# Starts a cluster in a temporary folder, runs a few pods, stops it and checks that nothing is left. Prints the figures.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
binary=${1:-$("$here/build.sh")}
dir=$(mktemp -d)
up=

ms() { echo $(($(date +%s%N) / 1000000)); }
say() { echo "smoke: $*"; }
fail() {
  say "FAILED: $*"
  tail -n 20 "$dir"/up.log "$dir"/c/logs/node-agent.log 2>/dev/null || true
  exit 1
}
cleanup() {
  if [[ -n $up ]] && kill -0 "$up" 2>/dev/null; then
    kill "$up"
    wait "$up" 2>/dev/null || true
  fi
  rm -rf "$dir"
}
trap cleanup EXIT

k() { "$binary" kubectl --kubeconfig "$dir/c/kubeconfig" --cache-dir "$dir/cache" "$@"; }
mine() { ps -eo pid=,args= | grep -F "$dir/" | grep -v grep || true; }

start() {
  : >"$dir/up.out"
  "$binary" up --dir "$dir/c" --unsafe-no-fsync >"$dir/up.out" 2>>"$dir/up.log" &
  up=$!
  for _ in $(seq 600); do
    grep -q '^ready in' "$dir/up.out" && break
    kill -0 "$up" 2>/dev/null || fail "up ended"
    sleep 0.05
  done
  grep -q '^ready in' "$dir/up.out" || fail "not ready in 30 s"
  say "$1 start: $(cut -d' ' -f1-4 "$dir/up.out"), API after $(sed -n 's/.*"apiReadyMs": \([0-9]*\).*/\1/p' "$dir/c/state.json") ms"
}

stop() {
  local began
  began=$(ms)
  kill -TERM "$up"
  wait "$up" || fail "up ended with an error"
  up=
  say "stopped in $(($(ms) - began)) ms"
  [[ -z $(mine) ]] || fail "processes are left: $(mine)"
  [[ ! -e $dir/c/state.json ]] || fail "state.json is left"
}

pod() { # name, image, grace, shell text
  cat <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: $3
  automountServiceAccountToken: ${5:-false}
  containers:
  - name: main
    image: $2
    command: [sh, -c, '$4']
Y
}

await() { # pod, jsonpath, wanted
  local i value=
  for i in $(seq 200); do
    value=$(k get pod "$1" -o "jsonpath=$2")
    [[ $value == "$3" ]] && return
    sleep 0.1
  done
  fail "pod $1: $2 is $value, not $3"
}

check_run() {
  pod run local/sh:v1 1 'echo hello; echo oops >&2; echo -n done > /dev/termination-log' | k apply -f - >/dev/null
  await run '{.status.phase}' Succeeded
  [[ $(k get pod run -o 'jsonpath={.status.containerStatuses[0].state.terminated.message}') == "done" ]] || fail "message"
  [[ $(k logs run | sort | xargs) == "hello oops" ]] || fail "logs: $(k logs run)"
  [[ $(k logs run --tail=1 | wc -l) == 1 ]] || fail "logs --tail"
  say "run, termination message and logs: ok"
}

# Latency is taken from the API server's and the process's own times: kubectl itself takes far longer than the pod.
check_latency() {
  pod quick local/sh 1 'date +%s%N > /dev/termination-log' >"$dir/quick.yaml"
  local began started ended n url total=0
  url=$(k config view -o 'jsonpath={.clusters[0].cluster.server}')/api/v1/namespaces/default/pods
  for n in 1 2 3 4 5; do
    k get pods -w -o 'jsonpath={.metadata.name} {.status.phase}{"\n"}' >"$dir/watch" &
    local watch=$!
    sleep 0.6
    (while ! grep -q 'quick Succeeded' "$dir/watch"; do sleep 0.002; done; ms >"$dir/ended") &
    local waiter=$!
    began=$(ms)
    curl -sf --cacert "$dir/c/ca.crt" -H "Authorization: Bearer $(cat "$dir/c/pki/admin.token")" \
      -H 'Content-Type: application/yaml' --data-binary @"$dir/quick.yaml" -o /dev/null "$url" || fail "create"
    wait "$waiter"
    ended=$(cat "$dir/ended")
    kill "$watch" && wait "$watch" 2>/dev/null || true
    started=$(k get pod quick -o 'jsonpath={.status.containerStatuses[0].state.terminated.message}')
    say "create to process $((started / 1000000 - began)) ms, to Succeeded seen in a watch $((ended - began)) ms"
    total=$((total + ended - began))
    k delete pod quick --wait >/dev/null
  done
  say "mean create to Succeeded: $((total / 5)) ms"
}

check_image_failure() {
  pod noimage example.com/nothing:1 1 'true' | k apply -f - >/dev/null
  await noimage '{.status.containerStatuses[0].state.waiting.reason}' ImagePullBackOff
  [[ $(k get pod noimage -o 'jsonpath={.status.phase}') == Pending ]] || fail "phase of a pod without its image"
  k delete pod noimage >/dev/null
  say "image pull failure: ok"
}

check_grace() {
  pod stubborn local/sh 2 'trap "" TERM; echo up; while :; do sleep 0.1; done' | k apply -f - >/dev/null
  await stubborn '{.status.phase}' Running
  local began took
  began=$(ms)
  k delete pod stubborn --wait >/dev/null
  took=$(($(ms) - began))
  ((took >= 1900 && took < 4500)) || fail "a pod that ignores SIGTERM with 2 s of grace took $took ms to go"
  say "deletion grace: ok ($took ms for 2 s)"
}

check_apiserver_kill() {
  local pid began
  pid=$(sed -n 's/.*"kube-apiserver": \([0-9]*\).*/\1/p' "$dir/c/state.json" | head -1)
  began=$(ms)
  kill -9 "$pid"
  sleep 0.2
  for _ in $(seq 400); do k get --raw /readyz >/dev/null 2>&1 && break; sleep 0.05; done
  k get --raw /readyz >/dev/null || fail "the API server did not come back"
  say "API server back $(($(ms) - began)) ms after kill -9"
}

check_follow() {
  pod talker local/sh 1 'for i in 1 2 3; do echo line $i; sleep 0.3; done' | k apply -f - >/dev/null
  sleep 0.3
  [[ $(timeout 10 "$binary" kubectl --kubeconfig "$dir/c/kubeconfig" logs -f talker | xargs) == "line 1 line 2 line 3" ]] || fail "logs -f"
  say "logs -f: ok"
}

# The agent is killed, and with it the pod's process; what that had started itself must go too.
check_agent_kill() {
  pod parent local/sh 30 'sleep 54321 & wait' | k apply -f - >/dev/null
  await parent '{.status.phase}' Running
  kill -9 "$(sed -n 's/.*"node-agent": \([0-9]*\).*/\1/p' "$dir/c/state.json" | head -1)"
  await parent '{.status.containerStatuses[0].state.terminated.reason}' ContainerStatusUnknown
  ! pgrep -f '^sleep 54321$' >/dev/null || fail "a child of a lost pod is left"
  say "node agent killed and back, lost pod reported: ok"
}

check_memory() {
  say "memory in MB: $(ps -eo rss=,args= | grep -F "$dir/" | grep -v grep | awk '{n=$2; sub(".*/","",n); if (n ~ /^(etcd|kube-|node-agent|rambo)/) printf "%s %d, ", n, $1/1024}')"
}

start cold
check_run
check_latency
check_image_failure
check_grace
check_follow
check_agent_kill
check_apiserver_kill
check_memory
pod long local/sh 30 'sleep 1000 & wait' true | k apply -f - >/dev/null
await long '{.status.phase}' Running
stop
start warm
await long '{.status.containerStatuses[0].state.terminated.reason}' ContainerStatusUnknown
[[ $(k get pod long -o 'jsonpath={.status.phase}') == Failed ]] || fail "a lost pod is not Failed"
say "lost process reported: ok"

k patch node process-0 --subresource=status --type=strategic -p '{"status":{"conditions":[{"type":"Ready","status":"Unknown","reason":"Smoke"}]}}' >/dev/null
k wait --for=condition=Ready node/process-0 --timeout=20s >/dev/null || fail "a node that was called not ready stays so"
say "ready again after others wrote it is not: ok"
pod other local/sh 30 'sleep 1000 & wait' true | k apply -f - >/dev/null
await other '{.status.phase}' Running
kill -9 "$up"
wait "$up" 2>/dev/null || true
up=
sleep 3
[[ -z $(mine) ]] || fail "processes are left after kill -9: $(mine)"
say "nothing left after kill -9 of the supervisor: ok"
start "after a crash:"
stop
say "passed"
