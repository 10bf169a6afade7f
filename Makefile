# Thin on purpose: what a target does is in the programs it calls.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X github.com/crowsnest-o11y/crowsnest/pipeline.Version=$(VERSION)
# Packages that start goroutines or share state.
CONCURRENT := ./ledger/... ./kubemeta/... ./pipeline/... ./receivers/... ./exporters/... ./test/nodesim/...
FUZZTIME ?= 20s

# Static programs; only the race detector needs a C compiler.
export CGO_ENABLED := 0

.PHONY: build stores demo test unit race e2e lint fuzz bench clean

build: ## both programs, static, into bin/
	go build -ldflags '$(LDFLAGS)' -o bin/crowsnest-agent ./cmd/agent
	go build -ldflags '$(LDFLAGS)' -o bin/crowsnest-aggregator ./cmd/aggregator

stores: ## build Prometheus, Loki and Jaeger into the user's cache folder, once
	go run ./test/stores/build

demo: build ## one simulated node to three real stores; DEMO_SECONDS=60 ends by itself
	go run ./test/demo

test: unit race e2e ## everything: unit tests, fuzz seeds, race detector, end to end on real stores

unit: build stores
	go test $(shell go list ./... | grep -v /test/e2e)

race: stores
	CGO_ENABLED=1 go test -race $(CONCURRENT)

e2e: build stores
	go test -count=1 -timeout 30m ./test/e2e/...

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	go run -modfile=test/tools/go.mod honnef.co/go/tools/cmd/staticcheck ./...

fuzz: ## every fuzz target for FUZZTIME each
	@go list ./... | while read -r pkg; do \
		for f in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "== $$pkg $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
		done; \
	done

bench:
	go test -run '^$$' -bench . -benchmem ./receivers/... ./exporters/... ./kubemeta/... ./pipeline/...

clean:
	rm -rf bin
