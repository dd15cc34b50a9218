// Asks an HTTP endpoint how it is, and compares the status of the answer with the expected one. If the answer is JSON and
// has a field `status`, as health endpoints of many frameworks have, what it says is reported too.
#r "nuget: System.Net.Http.Json, 8.0.0"

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Net.Http;
using System.Net.Http.Json;
using System.Text.Json;
using System.Threading.Tasks;

var endpoint = "http://localhost:8080/health";
var expectedStatus = 200;
var timeoutSeconds = 30.0;

var file = Environment.GetEnvironmentVariable("SCRIPT_ARGS_FILE") ?? "/scripts/args.json";
if (File.Exists(file))
{
    using var arguments = JsonDocument.Parse(File.ReadAllText(file));
    if (arguments.RootElement.TryGetProperty("endpoint", out var given)) endpoint = given.GetString();
    if (arguments.RootElement.TryGetProperty("expected_status", out given)) expectedStatus = given.GetInt32();
    if (arguments.RootElement.TryGetProperty("timeout_seconds", out given)) timeoutSeconds = given.GetDouble();
}

var details = new Dictionary<string, object>
{
    ["endpoint"] = endpoint,
    ["expected_status"] = expectedStatus,
};
// A redirect is an answer like any other: whether it is the expected one is for `expected_status` to say.
using var client = new HttpClient(new HttpClientHandler { AllowAutoRedirect = false })
{
    Timeout = TimeSpan.FromSeconds(timeoutSeconds),
    MaxResponseContentBufferSize = 1 << 20,
};
var clock = Stopwatch.StartNew();
try
{
    using var answer = await client.GetAsync(endpoint);
    var status = (int)answer.StatusCode;
    var milliseconds = Math.Round(clock.Elapsed.TotalMilliseconds, 1);
    details["status"] = status;
    details["milliseconds"] = milliseconds;
    var says = await StatusInBody(answer);
    if (says != null) details["body_status"] = says;
    var suffix = says == null ? "" : $", it says {says}";
    return status == expectedStatus
        ? Finish(true, $"{endpoint} is healthy: status {status} in {milliseconds} ms{suffix}")
        : Finish(false, $"{endpoint} is not healthy: status {status}, not {expectedStatus}{suffix}");
}
catch (TaskCanceledException)
{
    return Finish(false, $"{endpoint} did not answer within {timeoutSeconds} s");
}
catch (HttpRequestException error)
{
    return Finish(false, $"{endpoint} can't be reached: {(error.InnerException ?? error).Message}");
}
catch (Exception error) when (error is UriFormatException || error is InvalidOperationException)
{
    return Finish(false, $"`endpoint` is no HTTP address: {endpoint}");
}

static async Task<string> StatusInBody(HttpResponseMessage answer)
{
    if (answer.Content.Headers.ContentType?.MediaType?.EndsWith("json") != true) return null;
    try
    {
        var body = await answer.Content.ReadFromJsonAsync<JsonElement>();
        if (body.ValueKind != JsonValueKind.Object || !body.TryGetProperty("status", out var status)) return null;
        var text = status.ToString();
        return text.Length > 100 ? text.Substring(0, 100) : text;
    }
    catch (JsonException)
    {
        return null;
    }
}

// Says how it went: a line for people, a structured record, a JSON result; gives the exit code.
int Finish(bool passed, string message)
{
    var result = new Dictionary<string, object>
    {
        ["check"] = "health-check-http",
        ["passed"] = passed,
        ["message"] = message,
    };
    foreach (var detail in details) result[detail.Key] = detail.Value;
    var json = JsonSerializer.Serialize(result);
    Console.WriteLine(message);
    Console.WriteLine("@@" + json);
    var path = Environment.GetEnvironmentVariable("SCRIPT_RESULT");
    if (!string.IsNullOrEmpty(path)) File.WriteAllText(path, json);
    return passed ? 0 : 1;
}
