// Validates the migrations of a PostgreSQL database: that the table of applied migrations is there, that the newest one is
// the expected one, that none failed half-way, and that the tables which the application needs exist.
//
// Made for the tables of the usual tools: Flyway (`flyway_schema_history`, `version`, `success`), golang-migrate
// (`schema_migrations`, `version`, `dirty`), Rails (`schema_migrations`, `version`), Entity Framework
// (`__EFMigrationsHistory`, `MigrationId`). The password is never printed.
#r "nuget: Npgsql, 8.0.0"
#r "nuget: Dapper, 2.1.0"

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Threading.Tasks;
using Dapper;
using Npgsql;

var arguments = new Dictionary<string, JsonElement>();
var file = Environment.GetEnvironmentVariable("SCRIPT_ARGS_FILE") ?? "/scripts/args.json";
if (File.Exists(file))
{
    var given = JsonDocument.Parse(File.ReadAllText(file)).RootElement;
    arguments = given.EnumerateObject().ToDictionary(it => it.Name, it => it.Value);
}
var host = Text("host", "localhost");
var port = Number("port", 5432);
var database = Text("database", "postgres");
var schema = Text("schema", "public");
var table = Text("migrations_table", "schema_migrations");
var versionColumn = Text("version_column", "version");
var failureColumn = Text("failure_column", "");
var failureValue = Text("failure_value", "true");
var expectedVersion = Text("expected_version", "");
var requiredTables = arguments.TryGetValue("required_tables", out var list)
    ? list.EnumerateArray().Select(it => it.GetString()).ToList()
    : new List<string>();
var timeoutSeconds = Number("timeout_seconds", 15);

var place = $"{host}:{port}/{database}";
var details = new Dictionary<string, object> { ["database"] = place, ["migrations_table"] = $"{schema}.{table}" };
var settings = new NpgsqlConnectionStringBuilder
{
    Host = host,
    Port = port,
    Database = database,
    Username = Text("username", "postgres"),
    Password = Text("password", ""),
    Timeout = timeoutSeconds,
    CommandTimeout = timeoutSeconds,
    Pooling = false,
};
try
{
    using var connection = new NpgsqlConnection(settings.ConnectionString);
    await connection.OpenAsync();
    var problems = await Validate(connection);
    details["problems"] = problems;
    return problems.Count == 0
        ? Finish(true, $"migrations of {place} are sound: {details["applied"]} applied, the newest is {details["version"]}")
        : Finish(false, $"migrations of {place} are not sound: {string.Join("; ", problems)}");
}
catch (PostgresException error)
{
    return Finish(false, $"{place} refuses: {error.MessageText} ({error.SqlState})");
}
catch (NpgsqlException error)
{
    var timedOut = error.InnerException is TimeoutException;
    return Finish(false, timedOut
        ? $"{place} did not answer within {timeoutSeconds} s"
        : $"{place} can't be reached: {(error.InnerException ?? error).Message}");
}
catch (Exception error) when (error is TimeoutException || error is System.Net.Sockets.SocketException)
{
    return Finish(false, $"{place} can't be reached: {error.Message}");
}

async Task<List<string>> Validate(NpgsqlConnection connection)
{
    var problems = new List<string>();
    var tables = (await connection.QueryAsync<string>(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = @schema", new { schema })).ToHashSet();
    var missing = requiredTables.Where(name => !tables.Contains(name)).ToList();
    if (missing.Count > 0) problems.Add($"these tables are missing: {string.Join(", ", missing)}");
    details["applied"] = 0;
    details["version"] = null;
    if (!tables.Contains(table))
    {
        problems.Add($"there is no table {schema}.{table}: no migration was ever applied");
        return problems;
    }

    // Names can't be parameters; quoted, they can't be anything but names.
    var from = $"FROM {Quoted(schema)}.{Quoted(table)}";
    var version = Quoted(versionColumn);
    // Versions are numbers in some tables and texts in others: the longest text is the highest number.
    var versions = (await connection.QueryAsync<string>(
        $"SELECT {version}::text {from} WHERE {version} IS NOT NULL ORDER BY 1")).ToList();
    var newest = versions.OrderBy(it => it.All(char.IsDigit) ? it.PadLeft(40, '0') : it, StringComparer.Ordinal).LastOrDefault();
    details["applied"] = versions.Count;
    details["version"] = newest;
    if (newest == null) problems.Add("no migration was ever applied");
    else if (expectedVersion != "" && newest != expectedVersion)
    {
        problems.Add(versions.Contains(expectedVersion)
            ? $"the newest migration is {newest}, not {expectedVersion}, which was applied before it"
            : $"the newest migration is {newest}; {expectedVersion} was not applied");
    }
    if (failureColumn != "")
    {
        var failed = (await connection.QueryAsync<string>(
            $"SELECT {version}::text {from} WHERE {Quoted(failureColumn)}::text = @failureValue ORDER BY 1",
            new { failureValue })).ToList();
        if (failed.Count > 0) problems.Add($"these migrations failed half-way: {string.Join(", ", failed)}");
    }
    return problems;
}

static string Quoted(string name) => "\"" + name.Replace("\"", "\"\"") + "\"";

string Text(string name, string otherwise) => arguments.TryGetValue(name, out var value) ? value.GetString() : otherwise;

int Number(string name, int otherwise) => arguments.TryGetValue(name, out var value) ? value.GetInt32() : otherwise;

// Says how it went: a line for people, a structured record, a JSON result; gives the exit code.
int Finish(bool passed, string message)
{
    var result = new Dictionary<string, object>
    {
        ["check"] = "database-migration-check",
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
