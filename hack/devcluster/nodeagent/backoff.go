package nodeagent

import "time"

// backoff is the kubelet's restart back-off: no pause before the first restart, then base, doubled each time, and forgotten
// after the container has run for long.
type backoff struct {
	base, max time.Duration
	failures  int
}

// next returns the pause before a start that follows a run of the given length.
func (b *backoff) next(ran time.Duration) time.Duration {
	if ran > 2*b.max {
		b.failures = 0
	}
	b.failures++
	if b.failures == 1 {
		return 0
	}
	pause := b.base
	for i := 2; i < b.failures && pause < b.max; i++ {
		pause *= 2
	}
	return min(pause, b.max)
}
