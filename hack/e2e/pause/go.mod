module rambo.dev/hack/e2e/pause

go 1.25.0
