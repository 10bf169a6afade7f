# Thin on purpose: what a target does is in the programs it calls.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X github.com/crowsnest-o11y/crowsnest/pipeline.Version=$(VERSION)
# What the chart installs unless told otherwise.
IMAGE_TAG ?= $(shell sed -n 's/^appVersion: *"*\([^"]*\)"*$$/\1/p' deploy/helm/crowsnest/Chart.yaml 2>/dev/null)
# Packages that start goroutines or share state.
CONCURRENT := ./cadence/... ./complaint/... ./ledger/... ./kubeapi/... ./kubemeta/... ./pipeline/... ./receivers/... ./exporters/... ./test/nodesim/...
FUZZTIME ?= 20s

# Static programs; only the race detector needs a C compiler.
export CGO_ENABLED := 0

.PHONY: build images cluster-images test-images stores demo test unit race lint fuzz bench clean

build: ## both programs, static, into bin/
	go build -ldflags '$(LDFLAGS)' -o bin/crowsnest-agent ./cmd/agent
	go build -ldflags '$(LDFLAGS)' -o bin/crowsnest-aggregator ./cmd/aggregator

images: ## both programs' images for amd64 and arm64, as OCI archives in bin/images; needs no container engine
	go run ./deploy/images -version '$(VERSION)' -tag '$(IMAGE_TAG)'
	@! test -e .cluster/kubeconfig || $(MAKE) --no-print-directory cluster-images

cluster-images: test-images ## give them and what is below to the cluster of `make cluster`; `make images` does it if there is one
	go run ./test/cluster/ctl image-import bin/images/*.tar bin/images/stores/*.tar

test-images: ## images of the stores and of test/workload for a test cluster, into bin/images
	go run ./test/images

.PHONY: cluster cluster-down
cluster: ## a real Kubernetes on this machine: .cluster/kubeconfig, .cluster/bin/kubectl and helm; CLUSTER_NODES=2 for two nodes
	go run ./test/cluster/ctl up

cluster-down: ## end it and make sure that nothing of it is left
	go run ./test/cluster/ctl down
	go run ./test/cluster/ctl remains

.PHONY: chart chart-update
chart: ## lint the chart, check its renders against schemas and deploy/helm/golden, and all else in test/chart
	go test -count=1 ./test/chart

chart-update: ## accept the renders as they are and write the chart's README anew
	go test -count=1 ./test/chart -update

.PHONY: e2e
e2e: images test-images ## the chart on a real Kubernetes: install, disturb, upgrade, uninstall
	go run ./test/cluster/ctl build
	go test -tags e2e -count 1 -v -timeout 45m -p 1 ./test/cluster ./pipeline/leader ./test/kubestate ./test/kubeevents ./receivers/kubestate ./receivers/scrape ./test/e2e

.PHONY: alerts
alerts: export HEALTHY_MINUTES ?= 9
alerts: images test-images ## on a real Kubernetes: health fires no alert (HEALTHY_MINUTES=9), faults do, links lead somewhere, every query returns data (docs/coverage.md)
	go run ./test/cluster/ctl build
	mkdir -p bin/alerts
	go test -tags e2e -count 1 -v -timeout $$((75 + HEALTHY_MINUTES))m -artifacts -outputdir $(CURDIR)/bin/alerts ./test/alerts

stores: ## build Prometheus, Loki and Jaeger into the user's cache folder, once
	go run ./test/stores/build

demo: build ## one simulated node to three real stores; DEMO_SECONDS=60 ends by itself
	go run ./test/demo

test: unit race ## everything: unit and fuzz seeds, end to end on real stores, race detector

unit: build stores ## includes test/system: the real programs against the real stores
	go test -timeout 20m ./...

race: stores
	CGO_ENABLED=1 go test -race -timeout 20m $(CONCURRENT)

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet -tags e2e ./...
	go run -modfile=test/tools/go.mod honnef.co/go/tools/cmd/staticcheck -tags e2e ./...

fuzz: ## every fuzz target for FUZZTIME each
	@go list ./... | while read -r pkg; do \
		for f in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "== $$pkg $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5x $$pkg || exit 1; \
		done; \
	done

bench:
	go test -run '^$$' -bench . -benchmem ./receivers/... ./exporters/... ./kubemeta/... ./pipeline/...

clean:
	rm -rf bin
