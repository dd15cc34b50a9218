// Sends a list of requests to an API, one after the other, and validates each answer: its status, its type, how long it
// took, and fields of its JSON body with the values they must have. All are sent, whatever becomes of the first ones.
#r "nuget: System.Net.Http.Json, 8.0.0"

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Net.Http;
using System.Net.Http.Json;
using System.Text.Json;
using System.Threading.Tasks;

var baseUrl = "http://localhost:8080";
var timeoutSeconds = 30.0;
var requests = JsonDocument.Parse(@"[{ ""path"": ""/health"" }]").RootElement;

var file = Environment.GetEnvironmentVariable("SCRIPT_ARGS_FILE") ?? "/scripts/args.json";
if (File.Exists(file))
{
    var arguments = JsonDocument.Parse(File.ReadAllText(file)).RootElement;
    if (arguments.TryGetProperty("base_url", out var given)) baseUrl = given.GetString();
    if (arguments.TryGetProperty("timeout_seconds", out given)) timeoutSeconds = given.GetDouble();
    if (arguments.TryGetProperty("requests", out given)) requests = given;
}

using var client = new HttpClient(new HttpClientHandler { AllowAutoRedirect = false })
{
    Timeout = TimeSpan.FromSeconds(timeoutSeconds),
    MaxResponseContentBufferSize = 16 << 20,
};
var outcomes = new List<Dictionary<string, object>>();
var failed = 0;
foreach (var request in requests.EnumerateArray())
{
    var method = Text(request, "method", "GET");
    var path = Text(request, "path", "/");
    var name = Text(request, "name", $"{method} {path}");
    var problems = new List<string>();
    var clock = Stopwatch.StartNew();
    int? status = null;
    try
    {
        using var message = new HttpRequestMessage(new HttpMethod(method), baseUrl.TrimEnd('/') + path);
        if (request.TryGetProperty("body", out var body))
        {
            message.Content = JsonContent.Create(body);
            // Else it is sent in chunks, which some servers don't take.
            await message.Content.LoadIntoBufferAsync();
        }
        if (request.TryGetProperty("headers", out var headers))
        {
            foreach (var header in headers.EnumerateObject())
            {
                message.Headers.TryAddWithoutValidation(header.Name, header.Value.GetString());
            }
        }
        using var answer = await client.SendAsync(message);
        status = (int)answer.StatusCode;
        problems.AddRange(await Judge(request, answer, clock.Elapsed.TotalMilliseconds));
    }
    catch (TaskCanceledException)
    {
        problems.Add($"no answer within {timeoutSeconds} s");
    }
    catch (HttpRequestException error)
    {
        problems.Add($"no answer: {(error.InnerException ?? error).Message}");
    }
    catch (Exception error) when (error is UriFormatException || error is InvalidOperationException)
    {
        problems.Add($"`base_url` is no HTTP address: {baseUrl}");
    }
    var milliseconds = Math.Round(clock.Elapsed.TotalMilliseconds, 1);
    if (problems.Count > 0) failed++;
    Console.WriteLine($"{(problems.Count == 0 ? "ok  " : "FAIL")} {name} ({milliseconds} ms)");
    foreach (var problem in problems) Console.WriteLine($"     {problem}");
    outcomes.Add(new Dictionary<string, object>
    {
        ["name"] = name,
        ["passed"] = problems.Count == 0,
        ["status"] = status,
        ["milliseconds"] = milliseconds,
        ["problems"] = problems,
    });
}
return failed == 0
    ? Finish(true, $"all {outcomes.Count} requests to {baseUrl} are answered as they should")
    : Finish(false, $"{failed} of {outcomes.Count} requests to {baseUrl} are not answered as they should");

static string Text(JsonElement of, string name, string otherwise) =>
    of.TryGetProperty(name, out var value) ? value.GetString() : otherwise;

static async Task<List<string>> Judge(JsonElement request, HttpResponseMessage answer, double milliseconds)
{
    var problems = new List<string>();
    var expected = request.TryGetProperty("expected_status", out var given) ? given.GetInt32() : 200;
    if ((int)answer.StatusCode != expected) problems.Add($"status {(int)answer.StatusCode}, not {expected}");
    if (request.TryGetProperty("max_milliseconds", out given) && milliseconds > given.GetDouble())
    {
        problems.Add($"took {Math.Round(milliseconds, 1)} ms, more than {given.GetDouble()} ms");
    }
    var type = answer.Content.Headers.ContentType?.MediaType ?? "no type";
    if (request.TryGetProperty("expected_type", out given) && type != given.GetString())
    {
        problems.Add($"the body is {type}, not {given.GetString()}");
    }
    if (!request.TryGetProperty("expected_fields", out var fields)) return problems;
    try
    {
        var body = await answer.Content.ReadFromJsonAsync<JsonElement>();
        foreach (var field in fields.EnumerateObject())
        {
            if (!Find(body, field.Name, out var value)) problems.Add($"the body has no {field.Name}");
            // Null asks only that the field is there.
            else if (field.Value.ValueKind != JsonValueKind.Null && !Same(value, field.Value))
            {
                problems.Add($"{field.Name} is {Shown(value)}, not {Shown(field.Value)}");
            }
        }
    }
    catch (Exception error) when (error is JsonException || error is NotSupportedException)
    {
        problems.Add("the body is not JSON");
    }
    return problems;
}

// Follows a path such as `items.0.id`.
static bool Find(JsonElement body, string path, out JsonElement found)
{
    found = body;
    foreach (var part in path.Split('.'))
    {
        if (found.ValueKind == JsonValueKind.Object && found.TryGetProperty(part, out var next)) found = next;
        else if (found.ValueKind == JsonValueKind.Array && int.TryParse(part, out var index)
            && index >= 0 && index < found.GetArrayLength()) found = found[index];
        else return false;
    }
    return true;
}

static bool Same(JsonElement a, JsonElement b)
{
    if (a.ValueKind != b.ValueKind) return false;
    switch (a.ValueKind)
    {
        case JsonValueKind.String:
            return a.GetString() == b.GetString();
        case JsonValueKind.Number:
            return a.GetDouble() == b.GetDouble();
        case JsonValueKind.Array:
            return a.GetArrayLength() == b.GetArrayLength()
                && a.EnumerateArray().Zip(b.EnumerateArray(), Same).All(same => same);
        case JsonValueKind.Object:
            return a.EnumerateObject().Count() == b.EnumerateObject().Count()
                && a.EnumerateObject().All(one => b.TryGetProperty(one.Name, out var other) && Same(one.Value, other));
        default:
            return true;
    }
}

static string Shown(JsonElement value)
{
    var text = value.GetRawText();
    return text.Length > 80 ? text.Substring(0, 77) + "..." : text;
}

// Says how it went: a line for people, a structured record, a JSON result; gives the exit code.
int Finish(bool passed, string message)
{
    var json = JsonSerializer.Serialize(new Dictionary<string, object>
    {
        ["check"] = "smoke-test-api",
        ["passed"] = passed,
        ["message"] = message,
        ["base_url"] = baseUrl,
        ["failed"] = failed,
        ["requests"] = outcomes,
    });
    Console.WriteLine(message);
    Console.WriteLine("@@" + json);
    var path = Environment.GetEnvironmentVariable("SCRIPT_RESULT");
    if (!string.IsNullOrEmpty(path)) File.WriteAllText(path, json);
    return passed ? 0 : 1;
}
