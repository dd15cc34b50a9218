// Decides, fetches and looks up packages of a NuGet feed (protocol version 3). It follows the rules of NuGet's restore:
// the lowest version that will do, one version of each package, the assets that fit the framework best. Nothing of a
// package is run: no targets, no scripts, no analysers; only assemblies are taken out.
// Arguments: what to do, the job's folder, a folder to write to. Prints one line of JSON.

using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.IO.Compression;
using System.Linq;
using System.Net;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Threading;
using System.Xml;
using System.Xml.Linq;

class Told : Exception
{
    public readonly string Kind;

    public Told(string kind, string message) : base(message) { Kind = kind; }
}

static class NuGet
{
    const long LargestPackage = 512L << 20;
    const long LargestAsset = 256L << 20;
    const int MostPackages = 2000;

    static int Main(string[] args)
    {
        Console.OutputEncoding = new UTF8Encoding(false);
        string line;
        try
        {
            var feed = new Feed(Settings.Read(Path.Combine(args[2], "settings")));
            switch (args[0])
            {
                case "lock": line = new Resolver(feed, args[1]).Lock(); break;
                case "install": line = Install(feed, args[1], args[2]); break;
                default: line = Search(feed, args[3], int.Parse(args[4], CultureInfo.InvariantCulture)); break;
            }
        }
        catch (Told told)
        {
            line = Json.Write(new Dictionary<string, object> { [told.Kind] = told.Message });
        }
        Console.Out.WriteLine(line);
        return 0;
    }

    /// Fetches what the lock names, lines of `id version sha512`, and packs the assemblies.
    static string Install(Feed feed, string scripts, string work)
    {
        var files = new SortedDictionary<string, byte[]>(StringComparer.Ordinal);
        foreach (var line in File.ReadAllLines(Path.Combine(scripts, "packages")))
        {
            var words = line.Split(' ');
            var bytes = feed.Package(words[0], words[1]);
            if (bytes == null)
            {
                throw new Told("problem", $"{words[0]} {words[1]}: it is no longer in the feed");
            }
            if (Digest(bytes) != words[2])
            {
                throw new Told("problem", $"{words[0]} {words[1]}: checksum mismatch: the feed serves something else than before");
            }
            try
            {
                foreach (var asset in Assets.Of(bytes))
                {
                    if (!files.TryAdd(asset.Key, asset.Value))
                    {
                        throw new Told("problem", $"{words[0]} {words[1]}: it has {asset.Key}, and so has another package");
                    }
                }
            }
            catch (InvalidDataException broken)
            {
                throw new Told("problem", $"{words[0]} {words[1]}: it is no archive that can be read: {broken.Message}");
            }
        }
        using (var tar = new Tar(Path.Combine(work, "layer.tar")))
        {
            tar.Folder("lib/");
            tar.Folder("refs/");
            foreach (var file in files)
            {
                tar.Add(file.Key, file.Value);
            }
        }
        return "{}";
    }

    static string Search(Feed feed, string text, int limit)
    {
        var found = new List<object>();
        foreach (var it in feed.Search(text, limit))
        {
            found.Add(new List<object> { it.Item1, it.Item2, it.Item3 });
        }
        return Json.Write(new Dictionary<string, object> { ["found"] = found });
    }

    internal static string Digest(byte[] bytes)
    {
        using (var sha = SHA512.Create())
        {
            return Convert.ToBase64String(sha.ComputeHash(bytes));
        }
    }

    internal static byte[] ReadAll(Stream stream, long most, string what)
    {
        using (var buffer = new MemoryStream())
        {
            var piece = new byte[81920];
            int count;
            while ((count = stream.Read(piece, 0, piece.Length)) > 0)
            {
                if (buffer.Length + count > most)
                {
                    throw new Told("problem", $"{what}: it is larger than {most >> 20} MiB");
                }
                buffer.Write(piece, 0, count);
            }
            return buffer.ToArray();
        }
    }

    internal static long Bound(bool package) => package ? LargestPackage : LargestAsset;

    internal static int Most => MostPackages;
}

/// Lines of `name=value`, percent-encoded.
class Settings
{
    readonly Dictionary<string, string> values = new Dictionary<string, string>();

    internal static Settings Read(string path)
    {
        var settings = new Settings();
        foreach (var line in File.ReadAllLines(path))
        {
            var at = line.IndexOf('=');
            settings.values[line.Substring(0, at)] = Uri.UnescapeDataString(line.Substring(at + 1));
        }
        return settings;
    }

    internal string Get(string name) => values.TryGetValue(name, out var value) ? value : null;
}

/// One feed over HTTP: https://learn.microsoft.com/nuget/api/overview.
class Feed
{
    const int Tries = 3;
    readonly HttpClient client;
    readonly Dictionary<string, string> resources = new Dictionary<string, string>();

    internal Feed(Settings settings)
    {
        var url = settings.Get("url");
        if (string.IsNullOrEmpty(url))
        {
            throw new Told("setting", "names no feed, and the runtime has no .NET SDK that knows one; set its url");
        }
        var handler = new HttpClientHandler { AutomaticDecompression = DecompressionMethods.All };
        if (settings.Get("proxy") is string proxy)
        {
            handler.Proxy = new WebProxy(proxy);
        }
        client = new HttpClient(handler) { Timeout = TimeSpan.FromSeconds(300) };
        if (settings.Get("user") is string user)
        {
            var both = Encoding.UTF8.GetBytes(user + ":" + settings.Get("password"));
            client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(both));
        }
        var index = GetJson(url) ?? throw new Told("unreachable", "there is no index at its address");
        try
        {
            foreach (var it in index.GetProperty("resources").EnumerateArray())
            {
                var kind = it.GetProperty("@type").GetString();
                resources.TryAdd(kind, new Uri(new Uri(url), it.GetProperty("@id").GetString()).ToString());
            }
        }
        catch (Exception broken) when (broken is KeyNotFoundException || broken is InvalidOperationException || broken is UriFormatException)
        {
            throw new Told("unreachable", "its address is not that of an index of version 3");
        }
        Content = Resource("PackageBaseAddress/3.0.0") ?? throw new Told("unreachable", "it offers no PackageBaseAddress/3.0.0");
    }

    /// Where packages are.
    internal string Content { get; }

    string Resource(params string[] kinds)
    {
        foreach (var kind in kinds)
        {
            if (resources.TryGetValue(kind, out var address))
            {
                return address.EndsWith("/", StringComparison.Ordinal) ? address : address + "/";
            }
        }
        return null;
    }

    /// All versions of a package, or null if there is no such package.
    internal List<Version3> Versions(string id)
    {
        var found = GetJson(Content + id.ToLowerInvariant() + "/index.json");
        if (found == null)
        {
            return null;
        }
        var versions = new List<Version3>();
        foreach (var it in found.Value.GetProperty("versions").EnumerateArray())
        {
            if (Version3.TryParse(it.GetString(), out var version))
            {
                versions.Add(version);
            }
        }
        versions.Sort();
        return versions;
    }

    /// Whether the author still offers each version, and since when it is there; empty if the feed doesn't tell.
    internal Dictionary<string, Tuple<bool, DateTimeOffset?>> Registered(string id)
    {
        var told = new Dictionary<string, Tuple<bool, DateTimeOffset?>>(StringComparer.OrdinalIgnoreCase);
        var address = Resource("RegistrationsBaseUrl/3.6.0", "RegistrationsBaseUrl/Versioned", "RegistrationsBaseUrl/3.4.0", "RegistrationsBaseUrl");
        var index = address == null ? null : GetJson(address + id.ToLowerInvariant() + "/index.json");
        if (index == null)
        {
            return told;
        }
        foreach (var page in index.Value.GetProperty("items").EnumerateArray())
        {
            var whole = page.TryGetProperty("items", out _) ? page : GetJson(page.GetProperty("@id").GetString()) ?? page;
            if (!whole.TryGetProperty("items", out var leaves))
            {
                continue;
            }
            foreach (var leaf in leaves.EnumerateArray())
            {
                var entry = leaf.GetProperty("catalogEntry");
                if (!Version3.TryParse(entry.GetProperty("version").GetString(), out var version))
                {
                    continue;
                }
                var listed = !entry.TryGetProperty("listed", out var it) || it.ValueKind != JsonValueKind.False;
                DateTimeOffset? published = null;
                if (entry.TryGetProperty("published", out var time) && DateTimeOffset.TryParse(time.GetString(),
                    CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at))
                {
                    // What was taken back has the year 1900.
                    listed = listed && at.Year > 1900;
                    published = at;
                }
                told[version.ToString()] = Tuple.Create(listed, published);
            }
        }
        return told;
    }

    internal string Path(string id, string version)
    {
        var (name, number) = (id.ToLowerInvariant(), version.ToLowerInvariant());
        return $"{Content}{name}/{number}/{name}.{number}.nupkg";
    }

    internal byte[] Package(string id, string version) => Get(Path(id, version));

    internal IEnumerable<Tuple<string, string, string>> Search(string text, int limit)
    {
        var address = Resource("SearchQueryService/3.5.0", "SearchQueryService/3.4.0", "SearchQueryService/3.0.0-rc", "SearchQueryService/3.0.0-beta", "SearchQueryService");
        if (address == null)
        {
            throw new Told("unsupported", "the NuGet feed offers no search");
        }
        var found = GetJson($"{address.TrimEnd('/')}?q={Uri.EscapeDataString(text)}&take={limit}&prerelease=false&semVerLevel=2.0.0");
        if (found == null)
        {
            yield break;
        }
        string Text(JsonElement it, string name) => it.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
        foreach (var it in found.Value.GetProperty("data").EnumerateArray())
        {
            yield return Tuple.Create(Text(it, "id"), Text(it, "version"), Text(it, "description"));
        }
    }

    JsonElement? GetJson(string address)
    {
        var bytes = Get(address);
        if (bytes == null)
        {
            return null;
        }
        try
        {
            return JsonDocument.Parse(bytes).RootElement.Clone();
        }
        catch (JsonException)
        {
            throw new Told("unreachable", "it answers something that is no JSON");
        }
    }

    /// The content at an address, or null if there is none.
    byte[] Get(string address)
    {
        string why = null;
        for (var number = 0; number < Tries; number++)
        {
            if (number > 0)
            {
                Thread.Sleep(200 << (2 * number));
            }
            try
            {
                using (var response = client.GetAsync(address, HttpCompletionOption.ResponseHeadersRead).GetAwaiter().GetResult())
                {
                    var status = (int)response.StatusCode;
                    if (status == 200)
                    {
                        using (var body = response.Content.ReadAsStreamAsync().GetAwaiter().GetResult())
                        {
                            return NuGet.ReadAll(body, NuGet.Bound(true), address.Substring(address.LastIndexOf('/') + 1));
                        }
                    }
                    if (status == 401 || status == 407)
                    {
                        throw new Told("unreachable", "it asks for another user or password");
                    }
                    if (status < 500 && status != 408 && status != 429)
                    {
                        return null;
                    }
                    why = $"it answers {status}";
                }
            }
            catch (OperationCanceledException)
            {
                why = "it does not answer in time";
            }
            // A connection that breaks comes as an exception of whatever was at it just then.
            catch (Exception failed) when (!(failed is Told))
            {
                var last = failed;
                while (last.InnerException != null)
                {
                    last = last.InnerException;
                }
                why = last.Message;
            }
        }
        throw new Told("unreachable", why);
    }
}

/// A version with the rules of NuGet: up to four numbers, and those of SemVer 2.0.0 for what follows.
class Version3 : IComparable<Version3>
{
    readonly long[] numbers;
    internal readonly string[] Release;
    readonly string text;

    Version3(long[] numbers, string[] release)
    {
        this.numbers = numbers;
        Release = release;
        var core = string.Join(".", numbers.Take(numbers[3] == 0 ? 3 : 4));
        text = release.Length == 0 ? core : core + "-" + string.Join(".", release);
    }

    internal bool IsPrerelease => Release.Length > 0;

    internal long Number(int index) => numbers[index];

    internal static bool TryParse(string text, out Version3 version)
    {
        version = null;
        if (string.IsNullOrWhiteSpace(text) || text.Length > 128)
        {
            return false;
        }
        text = text.Trim().Split('+')[0];
        var dash = text.IndexOf('-');
        var release = dash < 0 ? new string[0] : text.Substring(dash + 1).Split('.');
        var parts = (dash < 0 ? text : text.Substring(0, dash)).Split('.');
        if (parts.Length > 4 || release.Any(it => it.Length == 0 || !it.All(c => char.IsLetterOrDigit(c) && c < 128 || c == '-')))
        {
            return false;
        }
        var numbers = new long[4];
        for (var at = 0; at < parts.Length; at++)
        {
            if (!parts[at].All(c => c >= '0' && c <= '9') || !long.TryParse(parts[at], NumberStyles.None, CultureInfo.InvariantCulture, out numbers[at]))
            {
                return false;
            }
        }
        version = new Version3(numbers, release);
        return true;
    }

    public int CompareTo(Version3 other)
    {
        for (var at = 0; at < 4; at++)
        {
            if (numbers[at] != other.numbers[at])
            {
                return numbers[at].CompareTo(other.numbers[at]);
            }
        }
        if (Release.Length == 0 || other.Release.Length == 0)
        {
            return other.Release.Length.CompareTo(Release.Length);
        }
        for (var at = 0; at < Math.Min(Release.Length, other.Release.Length); at++)
        {
            bool one = long.TryParse(Release[at], out var a), two = long.TryParse(other.Release[at], out var b);
            var order = one && two ? a.CompareTo(b) : one ? -1 : two ? 1
                : string.Compare(Release[at], other.Release[at], StringComparison.OrdinalIgnoreCase);
            if (order != 0)
            {
                return order;
            }
        }
        return Release.Length.CompareTo(other.Release.Length);
    }

    public override string ToString() => text;
}

/// Which versions will do: https://learn.microsoft.com/nuget/concepts/package-versioning.
class Range
{
    Version3 least, most;
    bool withLeast, withMost;
    long[] floating;
    internal string Text { get; private set; }

    /// Whether the highest is wanted, not the lowest.
    internal bool Floats => floating != null;

    internal static Range Parse(string text)
    {
        var range = new Range { Text = text.Trim() };
        text = range.Text;
        if (text.Length == 0 || text == "*")
        {
            range.floating = new long[0];
            return range;
        }
        if (text.EndsWith(".*", StringComparison.Ordinal))
        {
            var parts = text.Substring(0, text.Length - 2).Split('.');
            if (parts.Length > 3 || !parts.All(it => long.TryParse(it, NumberStyles.None, CultureInfo.InvariantCulture, out _)))
            {
                return null;
            }
            range.floating = parts.Select(it => long.Parse(it, CultureInfo.InvariantCulture)).ToArray();
            return range;
        }
        if (text[0] != '[' && text[0] != '(')
        {
            range.withLeast = true;
            return Version3.TryParse(text, out range.least) ? range : null;
        }
        var last = text[text.Length - 1];
        if (text.Length < 3 || (last != ']' && last != ')'))
        {
            return null;
        }
        range.withLeast = text[0] == '[';
        range.withMost = last == ']';
        var ends = text.Substring(1, text.Length - 2).Split(',');
        if (ends.Length == 1)
        {
            range.most = Version3.TryParse(ends[0], out range.least) ? range.least : null;
            return range.least != null && range.withLeast && range.withMost ? range : null;
        }
        if (ends.Length != 2 || (ends[0].Trim().Length > 0 && !Version3.TryParse(ends[0], out range.least))
            || (ends[1].Trim().Length > 0 && !Version3.TryParse(ends[1], out range.most)))
        {
            return null;
        }
        return range;
    }

    internal bool Holds(Version3 version)
    {
        if (floating != null)
        {
            return !version.IsPrerelease && !floating.Where((it, at) => version.Number(at) != it).Any();
        }
        var low = least == null ? 1 : version.CompareTo(least);
        var high = most == null ? -1 : version.CompareTo(most);
        return (low > 0 || (low == 0 && withLeast)) && (high < 0 || (high == 0 && withMost));
    }

    /// Whether it asks for versions that are not yet released.
    internal bool WithPrereleases => (least != null && least.IsPrerelease) || (most != null && most.IsPrerelease);
}

/// Decides one version of each package.
class Resolver
{
    readonly Feed feed;
    readonly List<Tuple<string, Range, string>> direct = new List<Tuple<string, Range, string>>();
    readonly DateTimeOffset? before;
    readonly Dictionary<string, List<Version3>> versions = new Dictionary<string, List<Version3>>(StringComparer.OrdinalIgnoreCase);
    readonly Dictionary<string, Package> packages = new Dictionary<string, Package>(StringComparer.OrdinalIgnoreCase);

    class Package
    {
        internal string Id;
        internal string Digest;
        internal List<Tuple<string, Range>> Needs;
    }

    /// Lines of `scope id requirement`.
    internal Resolver(Feed feed, string scripts)
    {
        this.feed = feed;
        foreach (var line in File.ReadAllLines(Path.Combine(scripts, "wanted")))
        {
            var words = line.Split(new[] { ' ' }, 3);
            var range = Range.Parse(words[2]);
            if (range == null)
            {
                throw new Told("problem", $"{words[1]} {words[2]}: not a version or range of NuGet; give one such as 1.2.3, [1.0,2.0) or 1.*");
            }
            direct.Add(Tuple.Create(words[1], range, words[0]));
        }
        var time = File.ReadAllText(Path.Combine(scripts, "before")).Trim();
        before = time.Length == 0 ? (DateTimeOffset?)null : DateTimeOffset.Parse(time, CultureInfo.InvariantCulture);
    }

    internal string Lock()
    {
        var asked = new Dictionary<string, List<Range>>(StringComparer.OrdinalIgnoreCase);
        foreach (var it in direct)
        {
            Add(asked, it.Item1, it.Item2);
        }
        var chosen = new Dictionary<string, Version3>(StringComparer.OrdinalIgnoreCase);
        foreach (var it in asked)
        {
            chosen[it.Key] = Choose(it.Key, it.Value, null);
        }
        var roots = new HashSet<string>(asked.Keys, StringComparer.OrdinalIgnoreCase);
        // Each round follows the needs of what is chosen, and raises what is too low for them, until nothing changes.
        for (var round = 0; ; round++)
        {
            if (round > 200)
            {
                throw new Told("problem", "the packages need each other in versions that never settle");
            }
            var wanted = Walk(roots, chosen, out var by);
            var changed = false;
            foreach (var it in wanted)
            {
                if (chosen.TryGetValue(it.Key, out var version) && it.Value.All(range => range.Item1.Holds(version)))
                {
                    continue;
                }
                if (roots.Contains(it.Key))
                {
                    var unmet = it.Value.First(range => !range.Item1.Holds(chosen[it.Key]));
                    throw new Told("problem", $"{it.Key} {chosen[it.Key]}: {unmet.Item2} needs {it.Key} {unmet.Item1.Text}; ask for such a version");
                }
                chosen[it.Key] = Choose(it.Key, it.Value.Select(range => range.Item1).ToList(), it.Value);
                changed = true;
            }
            foreach (var gone in chosen.Keys.Where(it => !by.Contains(it)).ToList())
            {
                chosen.Remove(gone);
            }
            if (!changed)
            {
                break;
            }
        }
        return Write(chosen, roots);
    }

    /// Follows the needs of what is chosen from the roots; what has no version yet is not followed.
    Dictionary<string, List<Tuple<Range, string>>> Walk(HashSet<string> roots, Dictionary<string, Version3> chosen, out HashSet<string> seen)
    {
        var wanted = new Dictionary<string, List<Tuple<Range, string>>>(StringComparer.OrdinalIgnoreCase);
        seen = new HashSet<string>(roots, StringComparer.OrdinalIgnoreCase);
        var next = new Queue<string>(roots);
        while (next.Count > 0)
        {
            var id = next.Dequeue();
            if (!chosen.TryGetValue(id, out var version))
            {
                continue;
            }
            foreach (var need in Fetch(id, version).Needs)
            {
                if (!wanted.TryGetValue(need.Item1, out var list))
                {
                    wanted[need.Item1] = list = new List<Tuple<Range, string>>();
                }
                list.Add(Tuple.Create(need.Item2, $"{id} {version}"));
                if (seen.Add(need.Item1))
                {
                    next.Enqueue(need.Item1);
                }
            }
            if (seen.Count > NuGet.Most)
            {
                throw new Told("problem", $"the script needs more than {NuGet.Most} packages");
            }
        }
        return wanted;
    }

    /// The lowest version that will do for all, or the highest where one floats.
    Version3 Choose(string id, List<Range> ranges, List<Tuple<Range, string>> by)
    {
        if (!versions.TryGetValue(id, out var all))
        {
            versions[id] = all = feed.Versions(id);
        }
        var needed = by == null ? "" : $" (needed by {by[0].Item2})";
        if (all == null || all.Count == 0)
        {
            throw new Told("problem", $"{id}: no such package in the feed{needed}");
        }
        var fitting = all.Where(it => ranges.All(range => range.Holds(it))).ToList();
        if (!ranges.Any(it => it.WithPrereleases) && fitting.Any(it => !it.IsPrerelease))
        {
            fitting = fitting.Where(it => !it.IsPrerelease).ToList();
        }
        if (fitting.Count == 0)
        {
            if (by != null && by.Count > 1 && by.All(one => all.Any(it => one.Item1.Holds(it))))
            {
                var needs = string.Join(", ", by.Select(it => $"{it.Item2} needs {it.Item1.Text}"));
                throw new Told("problem", $"{id}: no version will do for all: {needs}");
            }
            var newest = all.LastOrDefault(it => !it.IsPrerelease) ?? all.Last();
            var range = string.Join(" and ", ranges.Select(it => it.Text).Distinct());
            throw new Told("problem", $"{id} {range}: no such version in the feed{needed}; the newest is {newest}");
        }
        if (!ranges.Any(it => it.Floats))
        {
            return fitting[0];
        }
        // Nobody asked for a certain version: what its author took back is not taken, nor what is too young.
        var told = feed.Registered(id);
        bool Offered(Version3 it) => !told.TryGetValue(it.ToString(), out var facts)
            || (facts.Item1 && (before == null || facts.Item2 == null || facts.Item2 <= before));
        return fitting.LastOrDefault(Offered) ?? fitting.Last();
    }

    Package Fetch(string id, Version3 version)
    {
        var key = $"{id} {version}".ToLowerInvariant();
        if (packages.TryGetValue(key, out var known))
        {
            return known;
        }
        var bytes = feed.Package(id, version.ToString()) ?? throw new Told("problem", $"{id} {version}: the feed names it and does not have it");
        try
        {
            var needs = Assets.Needs(bytes, out var own);
            return packages[key] = new Package { Id = own, Digest = NuGet.Digest(bytes), Needs = needs };
        }
        catch (Exception broken) when (broken is InvalidDataException || broken is XmlException)
        {
            throw new Told("problem", $"{id} {version}: it is no package that can be read: {broken.Message}");
        }
    }

    string Write(Dictionary<string, Version3> chosen, HashSet<string> roots)
    {
        // What only the compiler needs: all that is not reached from what the script runs with.
        var running = direct.Where(it => it.Item3 == "runtime").Select(it => it.Item1);
        Walk(new HashSet<string>(running, StringComparer.OrdinalIgnoreCase), chosen, out var atRunTime);
        var young = new List<string>();
        var list = new List<object>();
        foreach (var it in chosen.OrderBy(it => it.Key, StringComparer.OrdinalIgnoreCase))
        {
            var package = Fetch(it.Key, it.Value);
            var name = package.Id;
            if (before != null)
            {
                feed.Registered(it.Key).TryGetValue(it.Value.ToString(), out var facts);
                if (facts?.Item2 == null)
                {
                    young.Add($"{name} {it.Value} has no time of publication");
                }
                else if (facts.Item2 > before)
                {
                    young.Add($"{name} {it.Value} was published on {facts.Item2.Value.UtcDateTime:yyyy-MM-ddTHH:mm:ssZ}");
                }
            }
            var requires = package.Needs.Select(need => Fetch(need.Item1, chosen[need.Item1]).Id).Distinct().OrderBy(id => id, StringComparer.Ordinal);
            list.Add(new List<object>
            {
                name, it.Value.ToString(), feed.Path(it.Key, it.Value.ToString()), package.Digest,
                atRunTime.Contains(it.Key) ? "runtime" : "build", requires.Cast<object>().ToList(),
            });
        }
        if (young.Count > 0)
        {
            throw new Told("problem", $"{string.Join(", ", young)}, and only what was before {before.Value.UtcDateTime:yyyy-MM-ddTHH:mm:ssZ} is accepted; take an older version");
        }
        return Json.Write(new Dictionary<string, object> { ["framework"] = Frameworks.Own, ["packages"] = list });
    }

    static void Add(Dictionary<string, List<Range>> asked, string id, Range range)
    {
        if (!asked.TryGetValue(id, out var list))
        {
            asked[id] = list = new List<Range>();
        }
        list.Add(range);
    }
}

/// Which framework this is, and which others it can use.
static class Frameworks
{
    internal static readonly string Own = $"net{Environment.Version.Major}.0";

    /// How well a folder's framework fits: the lower the better, null if it can't be used.
    internal static int? Fit(string folder)
    {
        var name = folder.ToLowerInvariant();
        // Long forms, as dependency groups have them: .NETStandard2.0, .NETCoreApp3.1.
        name = name.Replace(".netstandard", "netstandard").Replace(".netcoreapp", "netcoreapp").Replace(",version=v", "");
        if (name.Length == 0 || name == "any")
        {
            return 10000;
        }
        if (name.StartsWith("netstandard", StringComparison.Ordinal))
        {
            return Number(name.Substring(11)) is int version && version <= 201 ? 5000 - version : (int?)null;
        }
        if (name.StartsWith("netcoreapp", StringComparison.Ordinal))
        {
            return Number(name.Substring(10)) is int version && version < 500 ? 4000 - version : (int?)null;
        }
        // `net8.0`, and neither `net48` nor `net8.0-windows`.
        if (name.StartsWith("net", StringComparison.Ordinal) && name.Contains('.'))
        {
            var own = Environment.Version.Major * 100;
            return Number(name.Substring(3)) is int version && version >= 500 && version <= own ? 3000 - version : (int?)null;
        }
        return null;
    }

    /// `2.1` as 201.
    static int? Number(string text)
    {
        var parts = text.Split('.');
        return parts.Length == 2 && int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var major)
            && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var minor) && major < 1000 && minor < 100
            ? major * 100 + minor : (int?)null;
    }

    /// The best of some, or null.
    internal static string Best(IEnumerable<string> folders) =>
        folders.Where(it => Fit(it) != null).OrderBy(it => Fit(it)).ThenBy(it => it, StringComparer.Ordinal).FirstOrDefault();

    /// The names of this system from the nearest to the farthest, as packages have folders for it.
    internal static string[] Systems()
    {
        string machine;
        switch (System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture)
        {
            case System.Runtime.InteropServices.Architecture.Arm64: machine = "arm64"; break;
            case System.Runtime.InteropServices.Architecture.X64: machine = "x64"; break;
            default: machine = "none"; break;
        }
        var musl = Directory.Exists("/lib") && Directory.GetFiles("/lib", "ld-musl-*").Length > 0;
        return musl
            ? new[] { $"linux-musl-{machine}", "linux-musl", "linux", "unix", "any" }
            : new[] { $"linux-{machine}", "linux", $"unix-{machine}", "unix", "any" };
    }
}

/// What is taken out of a package.
static class Assets
{
    const int MostEntries = 50000;

    /// What the package needs, and what it is called.
    internal static List<Tuple<string, Range>> Needs(byte[] package, out string id)
    {
        using (var zip = new ZipArchive(new MemoryStream(package)))
        {
            var entry = zip.Entries.Where(it => !it.FullName.Contains('/') && it.FullName.EndsWith(".nuspec", StringComparison.OrdinalIgnoreCase)).FirstOrDefault()
                ?? throw new InvalidDataException("it has no nuspec");
            var settings = new XmlReaderSettings { DtdProcessing = DtdProcessing.Prohibit, XmlResolver = null };
            XElement metadata;
            using (var stream = new MemoryStream(NuGet.ReadAll(entry.Open(), 4 << 20, "a nuspec")))
            using (var reader = XmlReader.Create(stream, settings))
            {
                metadata = Child(XDocument.Load(reader).Root, "metadata") ?? throw new InvalidDataException("its nuspec has no metadata");
            }
            id = Child(metadata, "id")?.Value.Trim() ?? throw new InvalidDataException("its nuspec has no id");
            var all = Child(metadata, "dependencies");
            var needs = new List<Tuple<string, Range>>();
            if (all == null)
            {
                return needs;
            }
            var groups = all.Elements().Where(it => it.Name.LocalName == "group").ToList();
            var chosen = groups.Count == 0 ? all : null;
            if (groups.Count > 0)
            {
                var best = Frameworks.Best(groups.Select(Framework));
                chosen = groups.FirstOrDefault(it => Framework(it) == best);
            }
            foreach (var it in (chosen?.Elements() ?? Enumerable.Empty<XElement>()).Where(it => it.Name.LocalName == "dependency"))
            {
                var name = it.Attribute("id")?.Value.Trim() ?? "";
                var range = Range.Parse(it.Attribute("version")?.Value ?? "0.0");
                if (name.Length == 0 || range == null)
                {
                    throw new InvalidDataException("its nuspec has a dependency that can't be read");
                }
                // Only its compiler's targets or analysers, which are not used, would be taken from it.
                var excluded = (it.Attribute("exclude")?.Value ?? "").Split(',').Select(part => part.Trim().ToLowerInvariant()).ToList();
                if (!excluded.Contains("all") && !(excluded.Contains("runtime") && excluded.Contains("compile")))
                {
                    needs.Add(Tuple.Create(name, range));
                }
            }
            return needs;
        }
    }

    static string Framework(XElement group) => group.Attribute("targetFramework")?.Value.Trim() ?? "";

    static XElement Child(XElement parent, string name) => parent?.Elements().FirstOrDefault(it => it.Name.LocalName == name);

    /// Files of the layer by path: in `lib` what a script runs with, in `refs` what the compiler is to see in its place.
    internal static SortedDictionary<string, byte[]> Of(byte[] package)
    {
        var files = new SortedDictionary<string, byte[]>(StringComparer.Ordinal);
        using (var zip = new ZipArchive(new MemoryStream(package)))
        {
            if (zip.Entries.Count > MostEntries)
            {
                throw new InvalidDataException("it has too many entries");
            }
            // Path in the package, in parts. Names are taken as they are and put into one folder, so none leads elsewhere.
            var entries = zip.Entries.Select(it => Tuple.Create(Uri.UnescapeDataString(it.FullName).Split('/'), it)).ToList();
            void Take(string folder, IEnumerable<Tuple<string[], ZipArchiveEntry>> some, Func<string, bool> wanted)
            {
                foreach (var it in some)
                {
                    var name = it.Item1[it.Item1.Length - 1];
                    if (wanted(name) && IsPlain(name))
                    {
                        files[folder + name] = NuGet.ReadAll(it.Item2.Open(), NuGet.Bound(false), name);
                    }
                }
            }
            bool IsAssembly(string name) => name.EndsWith(".dll", StringComparison.OrdinalIgnoreCase);
            bool IsNative(string name) => name.EndsWith(".so", StringComparison.Ordinal) || name.Contains(".so.");
            List<Tuple<string[], ZipArchiveEntry>> Inside(params string[] start) => entries
                .Where(it => it.Item1.Length > start.Length && start.SequenceEqual(it.Item1.Take(start.Length), StringComparer.OrdinalIgnoreCase)).ToList();
            // The files that lie in the folder of the framework that fits best.
            List<Tuple<string[], ZipArchiveEntry>> BestOf(params string[] start)
            {
                var inside = Inside(start).Where(it => it.Item1.Length == start.Length + 2).ToList();
                var best = Frameworks.Best(inside.Select(it => it.Item1[start.Length]).Distinct());
                return inside.Where(it => it.Item1[start.Length] == best).ToList();
            }
            List<Tuple<string[], ZipArchiveEntry>> Nearest(Func<string, List<Tuple<string[], ZipArchiveEntry>>> of) =>
                Frameworks.Systems().Select(of).FirstOrDefault(it => it.Count > 0) ?? new List<Tuple<string[], ZipArchiveEntry>>();

            var plain = BestOf("lib");
            var special = Nearest(system => BestOf("runtimes", system, "lib"));
            var references = BestOf("ref");
            Take("lib/", plain, IsAssembly);
            Take("lib/", special, IsAssembly);
            Take("lib/", Nearest(system => Inside("runtimes", system, "native").Where(it => it.Item1.Length == 4).ToList()), IsNative);
            if (references.Count > 0)
            {
                Take("refs/", references, IsAssembly);
            }
            else if (special.Count > 0)
            {
                // What is compiled against is the same for all systems.
                Take("refs/", plain, IsAssembly);
            }
        }
        return files;
    }

    static bool IsPlain(string name) =>
        name.Length <= 90 && name[0] != '.' && name.All(c => c < 128 && (char.IsLetterOrDigit(c) || "._-+ ".Contains(c)));
}

static class Json
{
    internal static string Write(object value)
    {
        switch (value)
        {
            case string text: return JsonSerializer.Serialize(text);
            case List<object> list: return "[" + string.Join(",", list.Select(Write)) + "]";
            case Dictionary<string, object> map: return "{" + string.Join(",", map.Select(it => Write(it.Key) + ":" + Write(it.Value))) + "}";
            default: return "null";
        }
    }
}

/// Writes an archive without owners and times.
class Tar : IDisposable
{
    readonly Stream to;

    internal Tar(string path) { to = File.Create(path); }

    internal void Folder(string name) => Header(name, 0, '5', "0000755");

    internal void Add(string name, byte[] content)
    {
        Header(name, content.Length, '0', "0000644");
        to.Write(content, 0, content.Length);
        to.Write(new byte[(512 - content.Length % 512) % 512], 0, (512 - content.Length % 512) % 512);
    }

    void Header(string name, long size, char kind, string mode)
    {
        var header = new byte[512];
        void Put(int at, string text) => Encoding.ASCII.GetBytes(text).CopyTo(header, at);
        Put(0, name);
        Put(100, mode);
        Put(108, "0000000");
        Put(116, "0000000");
        Put(124, Convert.ToString(size, 8).PadLeft(11, '0'));
        Put(136, "00000000000");
        Put(148, "        ");
        header[156] = (byte)kind;
        Put(257, "ustar\0" + "00");
        Put(148, Convert.ToString(header.Sum(it => it), 8).PadLeft(6, '0') + "\0 ");
        to.Write(header, 0, 512);
    }

    public void Dispose()
    {
        to.Write(new byte[1024], 0, 1024);
        to.Dispose();
    }
}
