// Counts words: top-level statements, the library, a JSON parameter and a JSON result.
using System.Text.Encodings.Web;
using System.Text.Json;

var path = Environment.GetEnvironmentVariable("SCRIPT_ARGS_FILE");
var words = JsonDocument.Parse(File.ReadAllText(path)).RootElement.GetProperty("words");
var counts = new SortedDictionary<string, int>(StringComparer.Ordinal);
foreach (var word in words.EnumerateArray())
{
    var text = word.GetString();
    counts[text] = counts.GetValueOrDefault(text) + 1;
}
var options = new JsonSerializerOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
var result = JsonSerializer.Serialize(new { total = words.GetArrayLength(), words = counts }, options);
File.WriteAllText(Environment.GetEnvironmentVariable("SCRIPT_RESULT"), result);
Console.WriteLine(result);
