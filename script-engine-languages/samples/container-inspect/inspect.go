// Looks at the configuration of the running containers of a Docker Engine, and names each one that breaks a rule:
// privileged, without a memory limit, unhealthy, as root, with the tag `latest`, in the host's network, with the engine's
// own socket inside.
//
// Speaks to the Engine API at `docker_host`: `tcp://host:port`, `https://host:port` or `unix:///path`. It only reads.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"sort"
	"strings"
	"syscall"
	"time"
)

type arguments struct {
	DockerHost     string   `json:"docker_host"`
	Containers     string   `json:"containers"`
	Rules          []string `json:"rules"`
	AllowNone      bool     `json:"allow_none"`
	TimeoutSeconds float64  `json:"timeout_seconds"`
}

// listed is what the list of containers tells of one.
type listed struct {
	ID    string
	Names []string
}

// inspected is what the rules look at of a container.
type inspected struct {
	State struct {
		Running bool
		Health  *struct{ Status string }
	}
	RestartCount int
	Config       struct {
		Image string
		User  string
	}
	HostConfig struct {
		Privileged     bool
		Memory         int64
		NetworkMode    string
		PidMode        string
		ReadonlyRootfs bool
		RestartPolicy  struct{ Name string }
	}
	Mounts []struct{ Source string }
}

// rules say what is wrong with a container; an empty text is nothing.
var rules = map[string]func(inspected) string{
	"healthy": func(it inspected) string {
		if health := it.State.Health; health != nil && health.Status == "unhealthy" {
			return "its health check fails"
		}
		return ""
	},
	"not_privileged": func(it inspected) string {
		return when(it.HostConfig.Privileged, "is privileged")
	},
	"memory_limit": func(it inspected) string {
		return when(it.HostConfig.Memory == 0, "has no memory limit")
	},
	"not_root": func(it inspected) string {
		user, _, _ := strings.Cut(it.Config.User, ":")
		return when(user == "" || user == "0" || user == "root", "runs as root")
	},
	"fixed_tag": func(it inspected) string {
		return when(unfixed(it.Config.Image), "its image "+it.Config.Image+" has no fixed tag")
	},
	"restart_policy": func(it inspected) string {
		name := it.HostConfig.RestartPolicy.Name
		return when(name == "" || name == "no", "is not restarted when it ends")
	},
	"no_host_namespaces": func(it inspected) string {
		return when(it.HostConfig.NetworkMode == "host" || it.HostConfig.PidMode == "host", "shares namespaces with the host")
	},
	"no_docker_socket": func(it inspected) string {
		for _, mount := range it.Mounts {
			if path.Base(mount.Source) == "docker.sock" {
				return "has the engine's socket inside"
			}
		}
		return ""
	},
	"read_only_root": func(it inspected) string {
		return when(!it.HostConfig.ReadonlyRootfs, "can write to its root file system")
	},
}

func when(holds bool, text string) string {
	if holds {
		return text
	}
	return ""
}

// unfixed says whether an image is named without a tag or digest, or by one that moves.
func unfixed(image string) bool {
	if strings.Contains(image, "@sha256:") || strings.HasPrefix(image, "sha256:") {
		return false
	}
	name := image[strings.LastIndex(image, "/")+1:]
	_, tag, has := strings.Cut(name, ":")
	return !has || tag == "latest"
}

type verdict struct {
	Name     string   `json:"name"`
	Image    string   `json:"image"`
	Problems []string `json:"problems"`
}

type result struct {
	Check      string    `json:"check"`
	Passed     bool      `json:"passed"`
	Message    string    `json:"message"`
	Failed     int       `json:"failed"`
	Containers []verdict `json:"containers"`
}

func main() {
	args, err := readArguments()
	if err != nil {
		finish(result{Message: fmt.Sprintf("the arguments are not usable: %v", err)})
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(args.TimeoutSeconds*float64(time.Second)))
	defer cancel()
	engine, err := connect(args.DockerHost)
	if err != nil {
		finish(result{Message: err.Error()})
	}
	found, err := inspectAll(ctx, engine, args)
	if err != nil {
		finish(result{Message: fmt.Sprintf("the Docker Engine at %s: %s", args.DockerHost, inWords(err))})
	}
	finish(found)
}

func readArguments() (arguments, error) {
	args := arguments{
		DockerHost:     "tcp://localhost:2375",
		Containers:     "*",
		Rules:          []string{"healthy", "not_privileged", "memory_limit", "no_host_namespaces", "no_docker_socket"},
		TimeoutSeconds: 30,
	}
	file := os.Getenv("SCRIPT_ARGS_FILE")
	if file == "" {
		file = "/scripts/args.json"
	}
	content, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return args, nil
	}
	if err == nil {
		err = json.Unmarshal(content, &args)
	}
	for _, rule := range args.Rules {
		if rules[rule] == nil {
			err = fmt.Errorf("there is no rule %q", rule)
		}
	}
	if _, bad := path.Match(args.Containers, ""); bad != nil {
		err = fmt.Errorf("`containers` is no pattern: %q", args.Containers)
	}
	return args, err
}

type engine struct {
	client http.Client
	base   string
}

func connect(host string) (*engine, error) {
	address, err := url.Parse(host)
	if err != nil {
		return nil, fmt.Errorf("`docker_host` is no address: %w", err)
	}
	switch address.Scheme {
	case "unix":
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "unix", address.Path)
		}
		return &engine{http.Client{Transport: &http.Transport{DialContext: dial}}, "http://docker"}, nil
	case "tcp", "http":
		return &engine{base: "http://" + address.Host}, nil
	case "https":
		return &engine{base: "https://" + address.Host}, nil
	}
	return nil, fmt.Errorf("`docker_host` begins with none of tcp://, https:// and unix://: %s", host)
}

// errGone says that what was asked for is not there.
var errGone = errors.New("not found")

func (engine *engine) get(ctx context.Context, path string, into any) error {
	const most = 16 << 20
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, engine.base+path, nil)
	if err != nil {
		return err
	}
	answer, err := engine.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body := io.LimitReader(answer.Body, most)
	switch answer.StatusCode {
	case http.StatusOK:
		return json.NewDecoder(body).Decode(into)
	case http.StatusNotFound:
		return errGone
	}
	var refusal struct{ Message string }
	_ = json.NewDecoder(body).Decode(&refusal)
	return fmt.Errorf("status %d %s", answer.StatusCode, refusal.Message)
}

func inspectAll(ctx context.Context, engine *engine, args arguments) (result, error) {
	var running []listed
	if err := engine.get(ctx, "/containers/json", &running); err != nil {
		return result{}, err
	}
	found := result{Containers: []verdict{}}
	for _, one := range running {
		name := one.ID
		if len(one.Names) > 0 {
			name = strings.TrimPrefix(one.Names[0], "/")
		}
		if matches, _ := path.Match(args.Containers, name); !matches {
			continue
		}
		var state inspected
		err := engine.get(ctx, "/containers/"+url.PathEscape(one.ID)+"/json", &state)
		if errors.Is(err, errGone) {
			continue // It ended since the list was made.
		}
		if err != nil {
			return result{}, err
		}
		judged := verdict{Name: name, Image: state.Config.Image, Problems: []string{}}
		for _, rule := range args.Rules {
			if problem := rules[rule](state); problem != "" {
				judged.Problems = append(judged.Problems, problem)
			}
		}
		found.Containers = append(found.Containers, judged)
	}
	sort.Slice(found.Containers, func(a, b int) bool { return found.Containers[a].Name < found.Containers[b].Name })
	for _, one := range found.Containers {
		if len(one.Problems) > 0 {
			found.Failed++
			fmt.Printf("%s: %s\n", one.Name, strings.Join(one.Problems, "; "))
		}
	}
	switch {
	case len(found.Containers) == 0 && !args.AllowNone:
		found.Message = fmt.Sprintf("no running container matches %s", args.Containers)
	case found.Failed > 0:
		found.Message = fmt.Sprintf("%d of %d containers break a rule", found.Failed, len(found.Containers))
	default:
		found.Passed = true
		found.Message = fmt.Sprintf("all %d containers keep to the %d rules", len(found.Containers), len(args.Rules))
	}
	return found, nil
}

// inWords tells the cause of a network error without the layers above it.
func inWords(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, errGone):
		return "it is none: it has no list of containers"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer within the time-out"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ENOENT):
		return "there is no such socket"
	}
	return err.Error()
}

// finish says how it went: a line for people, a structured record, a JSON result, an exit code.
func finish(found result) {
	found.Check = "container-inspect"
	if found.Containers == nil {
		found.Containers = []verdict{}
	}
	text, err := json.Marshal(found)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%s\n@@%s\n", found.Message, text)
	if path := os.Getenv("SCRIPT_RESULT"); path != "" {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if !found.Passed {
		os.Exit(1)
	}
	os.Exit(0)
}
